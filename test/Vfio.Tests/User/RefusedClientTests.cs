using Microsoft.Extensions.Logging;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>What a server's owner reads when a client cannot have the device.</summary>
public sealed class RefusedClientTests
{
    [Fact]
    public void The_log_says_why_the_device_could_not_be_opened()
    {
        RecordingLogger lines = new(LogLevel.Warning);
        using VfioUserServer server = new(
            () => throw new VfioException("open", "0000:01:00.0", Errno.Busy, "another user has it"), new VfioUserServerOptions { Logger = lines });
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread session = new(() => server.Serve(theirs, CancellationToken.None));
        session.Start();
        using (RawPeer peer = new(ours))
            Assert.Equal(16u, peer.Ask(1, [(ushort)0, (ushort)1]).Refusal);
        session.Join();
        theirs.Dispose();
        Assert.Equal(
            ["A client was refused: the device could not be opened: opening 0000:01:00.0: Device or resource busy; another user has it (errno 16)"],
            lines.Entries.Select(entry => entry.Text));
    }
}
