using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Tests;

/// <summary>A file on a file system of FUSE whose server answers no read and no write, made by <c>data/stalling-file.c</c>. Needs root,
/// /dev/fuse and a compiler; a test without them is skipped.</summary>
internal sealed class StallingFile : IDisposable
{
    private static readonly Lazy<string> Helper = new(Compile);
    private readonly Process _helper;

    /// <summary>Makes one.</summary>
    /// <param name="flush">"flush" for one that can be closed; null for one whose close waits too.</param>
    public StallingFile(string? flush)
    {
        Assert.SkipUnless(Environment.UserName == "root" && File.Exists("/dev/fuse"), "only root can mount, where there is /dev/fuse");
        Assert.SkipUnless(File.Exists("/usr/bin/gcc"), "gcc is not installed");
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        string path = Path.Combine(folder, "s");
        using UnixListener listener = UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        string[] words = flush is null ? [path] : [path, flush];
        _helper = Process.Start(new ProcessStartInfo(Helper.Value, words) { RedirectStandardInput = true, RedirectStandardError = true })!;
        using DescriptorQueue received = new();
        while (!Poll.WaitReadable(listener.Descriptor, TimeSpan.FromMilliseconds(100)))
            Assert.SkipUnless(!_helper.HasExited, $"no file system: {(_helper.HasExited ? _helper.StandardError.ReadToEnd() : "")}");
        using UnixSocket from = listener.Accept()!;
        Assert.Equal(1, from.Receive(new byte[1], received, wait: true, out _));
        Descriptor = received.Take()!;
        Directory.Delete(folder, recursive: true);
    }

    public FileDescriptor Descriptor { get; }

    public void Dispose()
    {
        // The file system first: then whatever waits for it fails.
        _helper.StandardInput.Close();
        _helper.WaitForExit();
        _helper.Dispose();
        Descriptor.Dispose();
    }

    private static string Compile()
    {
        string program = Path.Combine(AppContext.BaseDirectory, $"stalling-file-{Environment.ProcessId}");
        using Process compiler = Process.Start("gcc", ["-O1", "-o", program, Repository.PathOf("test", "Vfio.Tests", "data", "stalling-file.c")]);
        compiler.WaitForExit();
        Assert.Equal(0, compiler.ExitCode);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(program);
        return program;
    }
}
