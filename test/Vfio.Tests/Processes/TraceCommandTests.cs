using System.Diagnostics;
using System.Text.Json;

namespace Vfio.Tests.Processes;

/// <summary><c>vfio trace</c> and <c>vfio record</c> as a user runs them.</summary>
public sealed class TraceCommandTests : IDisposable
{
    private static readonly string[] QemuIo =
    [
        "qemu-io", "-f", "raw", "-c", "write -P 0xa5 4k 64k", "-c", "read -P 0xa5 4k 64k", "-c", "read -P 0 0 4k", "nvme://0000:01:00.0/1",
    ];

    // Files of 2,000 bytes at most; the runtime's own memory is files where this is on, and as limited.
    private static readonly string[] Limited = ["/usr/bin/env", "DOTNET_EnableWriteXorExecute=0", "/usr/bin/prlimit", "--fsize=2000"];

    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-trace-").FullName;

    private string Recording => Path.Combine(_folder, "recording");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_device_at_a_socket_is_traced_line_by_line_with_names()
    {
        string socket = Path.Combine(_folder, "s");
        using Process trace = VfioCommand.Start("trace", "model:edu", "--socket", socket, "--to", Recording);
        Assert.StartsWith("ready ", trace.StandardOutput.ReadLine());
        Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{socket}", "bar0", "0").Output);
        Process.Start("kill", ["-TERM", $"{trace.Id}"]).WaitForExit();
        trace.StandardOutput.ReadToEnd();
        trace.WaitForExit();
        Assert.Equal(0, trace.ExitCode);

        VfioCommand.Result lines = VfioCommand.Run("trace", "--from", Recording);
        Assert.Contains("read      bar0 0x0000 Identification = 0x010000ed", lines.Output);
        Assert.Contains("write     config 0x0004 Control", lines.Output);
        VfioCommand.Result json = VfioCommand.Run("trace", "--from", Recording, "--json", "--only", "bar0");
        JsonElement[] events = [.. json.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
        JsonElement read = Assert.Single(events, one => one.GetProperty("kind").GetString() == "read");
        Assert.Equal(("bar0", "Identification", 0x010000edu),
            (read.GetProperty("region").GetString(), read.GetProperty("register").GetString(), read.GetProperty("value").GetUInt32()));
    }

    [Fact]
    public void A_server_and_a_client_write_their_messages_for_Wireshark()
    {
        Assert.SkipUnless(Tshark.IsInstalled, "tshark is not installed (Debian: tshark)");
        (string ofServer, string ofClient) = (Path.Combine(_folder, "a.pcapng"), Path.Combine(_folder, "b.pcapng"));
        using (ServerProcess serve = ServerProcess.Of("model:edu", "--capture", ofServer, "--snaplen", "64"))
        {
            Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{serve.SocketPath}?capture={ofClient}", "bar0", "0").Output);
            serve.Terminate();
            serve.WaitForExit();
        }

        foreach (string file in (string[])[ofServer, ofClient])
        {
            Tshark.Packet read = Assert.Single(Tshark.Read(File.ReadAllBytes(file)), packet =>
                packet.Has("vfiouser.value") && packet.Number("vfiouser.region") == 0 && packet.Number("vfiouser.flags.type") == 1);
            Assert.Equal(0x0100_00edul, read.Number("vfiouser.value"));
        }
    }

    [Fact]
    public void A_capture_that_gets_too_large_ends_with_a_line_and_the_device_goes_on()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "prlimit is not installed (Debian: util-linux)");
        string file = Path.Combine(_folder, "c.pcapng"), socket = Path.Combine(_folder, "s");
        using ServerProcess serve = ServerProcess.At(Limited, "model:edu", "--socket", socket, "--capture", file);
        Assert.True(SpinWait.SpinUntil(Use, HangGuard.Timeout), "no line tells of the end");
        Assert.Contains($"writing the capture on {file}: ", serve.Errors.First());
        Use();
        Assert.Single(serve.Errors);

        bool Use()
        {
            Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{socket}", "bar0", "0").Output);
            return !serve.Errors.IsEmpty;
        }
    }

    [Fact]
    public async Task A_capture_of_an_address_that_gets_too_large_ends_with_a_line_and_the_command_goes_on()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "prlimit is not installed (Debian: util-linux)");
        string file = Path.Combine(_folder, "c.pcapng");
        using ServerProcess serve = ServerProcess.Of("model:edu");
        ProcessStartInfo start = new(Limited[0], [.. Limited[1..], "dotnet", VfioCommand.Path, "dump", $"unix:{serve.SocketPath}?capture={file}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process dump = Process.Start(start)!;
        Task<string> errors = dump.StandardError.ReadToEndAsync();
        Assert.NotEmpty(dump.StandardOutput.ReadToEnd());
        dump.WaitForExit();
        Assert.Equal(0, dump.ExitCode);
        Assert.Contains($"The capture {file} ends early, and the device goes on", Assert.Single((await errors).Split('\n', StringSplitOptions.RemoveEmptyEntries)));
    }

    [Fact]
    public void A_second_server_does_not_empty_the_capture_of_the_first()
    {
        string file = Path.Combine(_folder, "c.pcapng");
        using ServerProcess serve = ServerProcess.Of("model:edu", "--capture", file);
        Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{serve.SocketPath}", "bar0", "0").Output);
        VfioCommand.Result second = VfioCommand.Run("serve", "model:edu", "--socket", Path.Combine(_folder, "s"), "--capture", file);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains($"creating on {file}: ", Assert.Single(second.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        serve.Terminate();
        serve.WaitForExit();
        Assert.True(Net.PcapngReader.Read(File.ReadAllBytes(file)).Count > 5);
    }

    [Fact]
    public async Task The_page_is_served_by_a_program_of_its_own_with_the_same_number_until_a_signal()
    {
        using Process web = VfioCommand.Start("web", "model:edu", "--socket", Path.Combine(_folder, "s"));
        string? line = await web.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith("open http://127.0.0.1:", line);
        using HttpClient client = new() { Timeout = HangGuard.Timeout };
        Assert.Contains("url=/", await client.GetStringAsync(line!["open ".Length..], TestContext.Current.CancellationToken));
        Assert.StartsWith("ready ", await web.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{Path.Combine(_folder, "s")}", "bar0", "0").Output);
        Process.Start("kill", ["-TERM", $"{web.Id}"]).WaitForExit();
        await web.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, web.ExitCode);
        Assert.Equal(2, VfioCommand.Run("web").ExitCode);
        VfioCommand.Result wrong = VfioCommand.Run("web", "--trace", "/dev/null");
        Assert.Equal(1, wrong.ExitCode);
        Assert.Contains("it is no trace of 'vfio trace' or 'vfio record'", Assert.Single(wrong.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
    }

    [Fact]
    public async Task A_signal_ends_the_page_while_its_trace_is_still_written()
    {
        string pipe = Path.Combine(_folder, "pipe");
        Process.Start("mkfifo", [pipe]).WaitForExit();
        using Process web = VfioCommand.Start("web", "--trace", pipe);
        try
        {
            // Opens when the other end does.
            await using FileStream writer = await Task.Run(() => new FileStream(pipe, FileMode.Open, FileAccess.Write)).WaitAsync(HangGuard.Timeout);
            Process.Start("kill", ["-TERM", $"{web.Id}"]).WaitForExit();
            await web.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(HangGuard.Timeout);
        }
        finally
        {
            web.Kill();
        }
    }

    [Fact]
    public void A_full_disk_ends_the_trace_with_a_line_and_the_device_goes_on()
    {
        string line = TraceToTheEnd("dotnet", [VfioCommand.Path], "/dev/full");
        Assert.Contains("writing the trace /dev/full: No space left on device", line);
    }

    [Fact]
    public void A_file_larger_than_the_process_may_have_ends_the_trace_with_a_line_and_the_device_goes_on()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "prlimit is not installed (Debian: util-linux)");
        string line = TraceToTheEnd("/usr/bin/prlimit", ["--fsize=2000", "dotnet", VfioCommand.Path], Recording);
        Assert.Contains($"writing the trace {Recording}: File too large", line);
    }

    /// <summary>Traces to a file that takes no more while the device is used twice.</summary>
    /// <returns>What the command says.</returns>
    private string TraceToTheEnd(string program, string[] words, string file)
    {
        string socket = Path.Combine(_folder, "s");
        ProcessStartInfo start = new(program, [.. words, "trace", "model:edu", "--socket", socket, "--to", file])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // The runtime's own memory is files where this is on, and as limited.
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        using Process trace = Process.Start(start)!;
        Assert.StartsWith("ready ", trace.StandardOutput.ReadLine());
        for (int i = 0; i < 2; i++)
            Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", $"unix:{socket}", "bar0", "0").Output);
        Process.Start("kill", ["-TERM", $"{trace.Id}"]).WaitForExit();
        string errors = trace.StandardError.ReadToEnd();
        trace.WaitForExit();
        Assert.Equal(1, trace.ExitCode);
        return Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Qemus_own_nvme_driver_is_recorded_and_replayed_without_the_disk()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-io"), "qemu-io is not installed (Debian: qemu-utils)");
        VfioCommand.Result recorded = VfioCommand.Run(["record", "model:nvme?size=64M", "--to", Recording, "--", .. QemuIo]);
        Assert.Equal(0, recorded.ExitCode);
        Assert.Contains("replay it with", recorded.Errors);
        Assert.DoesNotContain("failed", recorded.Output);
        VfioCommand.Result replayed = VfioCommand.Run(["run", "--device", $"model:replay?from={Recording}&mode=register", "--", .. QemuIo]);
        Assert.Equal("", replayed.Errors);
        Assert.Equal(0, replayed.ExitCode);
        Assert.DoesNotContain("failed", replayed.Output);
        Assert.Equal(2, replayed.Output.Split("read ").Length - 1);
    }

    [Fact]
    public void A_program_that_does_something_else_is_told_by_a_line()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-io"), "qemu-io is not installed (Debian: qemu-utils)");
        string[] other = ["dotnet", VfioCommand.Path, "nvme", "0000:01:00.0", "identify"];
        Assert.Equal(0, VfioCommand.Run(["record", "model:nvme?size=64M", "--to", Recording, "--", .. QemuIo]).ExitCode);
        VfioCommand.Result replayed = VfioCommand.Run(["run", "--device", $"model:replay?from={Recording}", "--", .. other]);
        Assert.NotEqual(0, replayed.ExitCode);
        Assert.Contains("where the recording has, at event", replayed.Errors);
    }
}
