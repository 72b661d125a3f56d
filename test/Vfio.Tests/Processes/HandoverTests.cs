using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>Listening sockets that are passed from process to process.</summary>
public sealed class HandoverTests : IDisposable
{
    private static readonly TimeSpan Fence = TimeSpan.FromSeconds(60);
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_successor_takes_the_socket_over_and_the_driver_goes_on()
    {
        string socket = Path.Combine(_folder, "s");
        string next = Path.Combine(_folder, "next");
        using ServerProcess old = ServerProcess.At([], "--socket", socket, "--handover", next);
        using PciDevice edu = new(VfioUserClient.Connect(socket, new VfioUserClientOptions { ReconnectTimeout = Fence }));
        using ManualResetEventSlim told = new();
        edu.Restarted += told.Set;
        Bar bar = edu.OpenBar(0);
        using DmaBuffer buffer = edu.AllocateDma(4096);
        Assert.Equal(0x0100_00edu, bar.Read32(0));
        using (ServerProcess successor = ServerProcess.At([], "--take-over", next, "--handover", next))
        {
            old.WaitForExit();
            Assert.Equal(0, old.ExitCode);
            Assert.True(File.Exists(socket));
            Assert.Equal(0x0100_00edu, bar.Read32(0));
            Assert.True(told.Wait(Fence));
            Assert.True(File.Exists(next));
            successor.Terminate();
        }

        Assert.False(File.Exists(socket));
        Assert.False(File.Exists(next));
    }

    [Fact]
    public void A_successor_that_gives_up_changes_nothing()
    {
        string socket = Path.Combine(_folder, "s");
        string next = Path.Combine(_folder, "next");
        using ServerProcess server = ServerProcess.At([], "--socket", socket, "--handover", next);
        VfioCommand.Result failed = VfioCommand.Run("serve", "model:edu", "--take-over", Path.Combine(_folder, "nobody"));
        Assert.NotEqual(0, failed.ExitCode);
        using (VfioUserClient client = VfioUserClient.Connect(socket))
            client.Reset();
        server.Terminate();
        Assert.False(File.Exists(next));
    }

    [Fact]
    public void A_socket_of_the_service_manager_is_served()
    {
        string path = Path.Combine(_folder, "s");
        using UnixListener listener = UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using FileDescriptor passed = listener.Descriptor.DuplicateForChildren();
        string script = $"exec 3<&{passed.Number} {passed.Number}<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        string[] wrapper = ["bash", "-c", script, "activate"];
        using ServerProcess server = ServerProcess.At(wrapper);
        using (VfioUserClient client = VfioUserClient.Connect(path))
            client.Reset();
        server.Terminate();
        Assert.Equal(0, server.ExitCode);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void A_socket_meant_for_another_process_is_not_taken()
    {
        VfioCommand.Result failed = VfioCommand.Run("serve", "model:edu");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains("--socket", failed.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_listen_is_refused()
    {
        (UnixSocket one, UnixSocket other) = UnixSocket.CreatePair();
        using (one)
        using (other)
        using (FileDescriptor connected = one.Descriptor.Duplicate())
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => UnixListener.FromDescriptor(connected)).Errno);
        using FileDescriptor file = MemoryFile.Create("no socket", 4096);
        Assert.Equal((Errno)88, Assert.Throws<VfioException>(() => UnixListener.FromDescriptor(file)).Errno);
        Assert.Equal(Errno.BadDescriptor, Assert.Throws<VfioException>(() => FileDescriptor.Inherited(1 << 20)).Errno);
    }
}
