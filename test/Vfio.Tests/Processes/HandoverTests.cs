using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>Listening sockets that are passed from process to process.</summary>
public sealed class HandoverTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_driver_of_edu_goes_on_while_its_server_is_replaced_again_and_again()
    {
        using Servers servers = new(_folder, "model:edu");
        using PciDevice edu = new(VfioUserClient.Connect(servers.SocketPath));
        using DmaBuffer buffer = edu.AllocateDma(4096);
        edu.EnableBusMaster();
        EduLoop loop = new(edu, buffer);
        servers.ReplaceDuring(loop.Run, 3);
        servers.AssertNothingLeaks();
    }

    [Fact]
    public void A_driver_of_bench_goes_on_while_its_server_is_replaced_again_and_again()
    {
        using Servers servers = new(_folder, "model:bench");
        using VfioUserClient bench = VfioUserClient.Connect(servers.SocketPath);
        using BenchLoop loop = new(bench);
        servers.ReplaceDuring(loop.Run, 3);
        servers.AssertNothingLeaks();
    }

    [Fact]
    public void A_successor_that_is_killed_has_either_taken_all_or_changed_nothing()
    {
        using Servers servers = new(_folder, "model:edu");
        using PciDevice edu = new(VfioUserClient.Connect(servers.SocketPath));
        Bar bar = edu.OpenBar(0);
        bar.Write32(0x20, 0x80);
        try
        {
            for (int i = 1; i <= 5; i++)
            {
                // At some moment between its start and a little after it has taken over.
                using Process doomed = VfioCommand.Start("serve", "model:edu", "--take-over", servers.Place);
                Stopwatch clock = Stopwatch.StartNew();
                while (clock.ElapsedMilliseconds < 100 * i)
                    Assert.Equal(0x80u, bar.Read32(0x20) & 0x80);
                doomed.Kill();
                doomed.WaitForExit();
                Assert.Equal(0x80u, bar.Read32(0x20) & 0x80);
            }
        }
        catch (VfioException gone) when (gone.Errno == Errno.ConnectionReset)
        {
            // Then the one before it had let go.
            servers.WaitForEnd();
        }
    }

    [Fact]
    public void Another_user_is_refused()
    {
        Assert.SkipUnless(Environment.UserName == "root" && File.Exists("/usr/bin/perl"), "only root can start a process as another user");
        using Servers servers = new(_folder, "model:edu");
        using VfioUserClient client = VfioUserClient.Connect(servers.SocketPath);
        const string Ask = "socket($s,1,1,0);connect($s,pack('Sa108',1,$ARGV[0])) or exit 3;"
            + "syswrite($s,'vfio-hnd'.pack('L4',2,1,0,0));sysread($s,$b,24);print((unpack('L4',substr($b,8)))[1]);";
        File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        ProcessStartInfo start = new("/usr/bin/perl", ["-e", Ask, servers.Place])
        {
            UserName = "nobody",
            WorkingDirectory = "/",
            RedirectStandardOutput = true,
        };
        using (Process closed = Process.Start(start)!)
        {
            closed.WaitForExit();
            Assert.Equal(3, closed.ExitCode);
        }

        // Even if the file's mode allows all users.
        File.SetUnixFileMode(servers.Place, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        using (Process open = Process.Start(start)!)
        {
            Assert.Equal("4", open.StandardOutput.ReadToEnd());
            open.WaitForExit();
        }

        client.Reset();
    }

    [Fact]
    public void A_successor_that_gives_up_changes_nothing()
    {
        string socket = Path.Combine(_folder, "s");
        string next = Path.Combine(_folder, "next");
        using ServerProcess server = ServerProcess.Listening([], "--socket", socket, "--handover", next);
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
        using ServerProcess server = ServerProcess.Listening(wrapper);
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
