using System.Diagnostics;
using System.Globalization;

namespace Vfio.Tests;

/// <summary>A real server in a process of its own: <c>vfio serve ADDRESS --socket PATH</c>. Ended, and its socket gone, when disposed.</summary>
public sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string[] _words;
    private readonly string _folder;
    private readonly bool _isRead;
    private Process _process;
    private int _socketsAtRest;

    public ServerProcess()
        : this("model:edu", [], [])
    {
    }

    private ServerProcess(string address, string[] wrapper, string[] more, string[]? where = null, bool isRead = true)
    {
        _isRead = isRead;
        _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        SocketPath = Path.Combine(_folder, "s");
        string[] timeout = more.Contains("--client-timeout") ? [] : ["--client-timeout", "1"];
        _words = [.. wrapper, "dotnet", VfioCommand.Path, "serve", address, .. where ?? ["--socket", SocketPath], .. timeout, .. more];
        _process = Start();
    }

    private Process Start()
    {
        ProcessStartInfo start = new(_words[0], _words[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => Errors.Enqueue(line.Data ?? "");
        if (_isRead)
            _process.BeginErrorReadLine();
        string? ready = _process.StandardOutput.ReadLine();
        Assert.True(ready?.StartsWith("ready ", StringComparison.Ordinal), $"the server said '{ready}' {string.Join('\n', Errors)}");
        _ = CollectOutputAsync();
        _socketsAtRest = SocketCount;
        return _process;
    }

    /// <summary>Starts one that assigns another device, or with more words.</summary>
    public static ServerProcess Of(string address, params string[] words) => new(address, [], words);

    /// <summary>Starts one whose standard error is not read.</summary>
    public static ServerProcess Unread(params string[] words) => new("model:edu", [], words, isRead: false);

    /// <summary>Starts one under another program, such as strace.</summary>
    public static ServerProcess Under(string[] wrapper, string address = "model:edu") => new(address, wrapper, []);

    /// <summary>Starts one that listens where its options say.</summary>
    /// <param name="wrapper">The program that starts it, and its words; empty for none.</param>
    /// <param name="where">The options.</param>
    public static ServerProcess Listening(string[] wrapper, params string[] where) => new("model:edu", wrapper, [], where);

    /// <summary>As the other, of any device.</summary>
    public static ServerProcess At(string[] wrapper, string address, params string[] where) => new(address, wrapper, [], where);

    /// <summary>How many mappings of memory files it has.</summary>
    public int MemoryFilesMapped() => File.ReadLines($"/proc/{Id}/maps").Count(line =>
        line.Contains("/memfd:", StringComparison.Ordinal) && !line.Contains("doublemapper", StringComparison.Ordinal));

    /// <summary>Waits until it ends by itself.</summary>
    public void WaitForExit() => Assert.True(_process.WaitForExit(TestTimeout), "it does not end");

    public string SocketPath { get; }

    public System.Collections.Concurrent.ConcurrentQueue<string> Errors { get; } = new();

    /// <summary>What it printed after its first line.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<string> Output { get; } = new();

    public int Id => _process.Id;

    public bool IsAlive => !_process.HasExited;

    public int ExitCode => _process.ExitCode;

    private int SocketCount => Descriptors().Count(target => target == "socket");

    /// <summary>Waits until it has no client.</summary>
    public void WaitUntilIdle() => Assert.True(
        SpinWait.SpinUntil(() => SocketCount == _socketsAtRest, TestTimeout), "a session does not end");

    /// <summary>The words for QEMU's shared memory that it prints to be pasted into a shell's line.</summary>
    public string QemuMemory => Printed("  -object").TrimEnd('\\');

    /// <summary>The words for QEMU's device that it prints to be pasted into a shell's line.</summary>
    public string QemuDevice => Printed("  -device");

    /// <summary>What it would print if it listened elsewhere.</summary>
    public string QemuDeviceAt(string path) => QemuDevice.Replace(SocketPath, path, StringComparison.Ordinal);

    /// <summary>Waits for a line that it prints.</summary>
    public string Printed(string start)
    {
        string? Find() => Output.FirstOrDefault(line => line.StartsWith(start, StringComparison.Ordinal));
        Assert.True(SpinWait.SpinUntil(() => Find() is not null, TestTimeout), $"it does not print '{start}'");
        return Find()!;
    }

    /// <summary>What its open descriptors are, but for those that the runtime opens and closes by itself: its files, and pipes of which it
    /// has both ends, which no code of the server makes.</summary>
    public IReadOnlyList<string> Descriptors() =>
    [
        .. Directory.EnumerateFiles($"/proc/{Id}/fd").Select(LinkOf).OfType<string>()
            .Where(target => !target.Contains("/proc/", StringComparison.Ordinal) && !target.Contains("/sys/", StringComparison.Ordinal)
                && !target.EndsWith(".dll", StringComparison.Ordinal))
            .GroupBy(target => target)
            .Where(ends => !ends.Key.StartsWith("pipe:", StringComparison.Ordinal) || ends.Count() == 1)
            .SelectMany(ends => ends)
            .Select(target => target.Split(':')[0]).Order(StringComparer.Ordinal),
    ];

    /// <summary>Whether it has memory of that name mapped.</summary>
    public bool IsHolding(string name) => File.ReadLines($"/proc/{Id}/maps").Any(line => line.Contains(name, StringComparison.Ordinal));

    /// <summary>Waits until the server holds just what it held before a client came.</summary>
    public void AssertComesBackTo(IReadOnlyList<string> descriptors)
    {
        SpinWait.SpinUntil(() => !IsAlive || (descriptors.SequenceEqual(Descriptors()) && !IsHolding("memfd:test-client")), TestTimeout);
        Assert.True(IsAlive, $"the server ended: {string.Join('\n', Errors)}");
        Assert.Equal(descriptors, Descriptors());
        Assert.False(IsHolding("memfd:test-client"), "client memory stays mapped");
    }

    /// <summary>Ends it as a crash does: nothing is cleaned up, and the socket's file stays.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Starts another in its place, at the same path.</summary>
    public void StartAgain()
    {
        _process.Dispose();
        Start();
    }

    /// <summary>Asks it to end, and waits until it has.</summary>
    public void Terminate(string signal = "TERM")
    {
        // A wrapper passes no signals on: the server is its child.
        string children = File.ReadAllText($"/proc/{Id}/task/{Id}/children").Trim();
        using Process kill = Process.Start("kill", ["-" + signal, children.Length > 0 ? children : Id.ToString(CultureInfo.InvariantCulture)]);
        Assert.True(_process.WaitForExit(TestTimeout), $"it does not end on SIG{signal}");
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task CollectOutputAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
            Output.Enqueue(line);
    }

    private static string? LinkOf(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
