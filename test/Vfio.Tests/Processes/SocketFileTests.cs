using System.Diagnostics;
using Vfio.Native.Sockets;

namespace Vfio.Tests.Processes;

/// <summary>Sockets that root connects to by a path.</summary>
public sealed class SocketFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-").FullName;

    private string Socket => Path.Combine(_folder, "s");

    private string Link => Path.Combine(_folder, "link");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Root_follows_a_link_of_root_to_a_socket_and_none_of_another_user()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root follows links with care");
        using UnixListener listener = UnixListener.Bind(Socket, SocketPlace.UserAndGroup);
        File.CreateSymbolicLink(Link, "s");
        UnixSocket.Connect(Link, HangGuard.Timeout).Dispose();
        GiveAway(Link);
        Assert.Equal(Errno.TooManyLinks, Assert.Throws<VfioException>(() => UnixSocket.Connect(Link, HangGuard.Timeout)).Errno);
    }

    [Fact]
    public void A_folder_that_another_user_has_made_a_link_leads_nowhere()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root follows links with care");
        Directory.CreateDirectory(Path.Combine(_folder, "theirs"));
        using UnixListener listener = UnixListener.Bind(Path.Combine(_folder, "theirs", "s"), SocketPlace.UserAndGroup);
        File.CreateSymbolicLink(Link, "theirs");
        string path = Path.Combine(Link, "s");
        UnixSocket.Connect(path, HangGuard.Timeout).Dispose();
        GiveAway(Link);
        Assert.Equal(Errno.TooManyLinks, Assert.Throws<VfioException>(() => UnixSocket.Connect(path, HangGuard.Timeout)).Errno);
    }

    [Fact]
    public void Datagrams_go_to_no_socket_that_a_link_of_another_user_names()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root follows links with care");
        using UnixDatagramSocket receiver = UnixDatagramSocket.Bind(Socket, SocketPlace.UserAndGroup);
        using UnixDatagramSocket sender = UnixDatagramSocket.Bind(Path.Combine(_folder, "t"), SocketPlace.UserAndGroup);
        File.CreateSymbolicLink(Link, "s");
        Assert.True(sender.TryConnect(Link));
        GiveAway(Link);
        Assert.False(sender.TryConnect(Link));
    }

    private static void GiveAway(string link)
    {
        using Process chown = Process.Start("chown", ["-h", "65534", link]);
        Assert.True(chown.WaitForExit(HangGuard.Timeout) && chown.ExitCode == 0);
    }
}
