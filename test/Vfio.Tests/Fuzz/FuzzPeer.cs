using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Fuzz;

/// <summary>The client's end of a fuzzed session. It waits only for buffer space in the socket, and only while the server lives.</summary>
internal sealed class FuzzPeer(UnixSocket socket, FileDescriptor[] files) : IDisposable
{
    private readonly DescriptorQueue _arrived = new();
    private readonly byte[] _replies = new byte[65536];
    private int _next;

    /// <summary>Holds a session; ends early when the server has dropped this client.</summary>
    internal void Hold(IEnumerable<FuzzMessage> session, Random random)
    {
        foreach (FuzzMessage message in session)
        {
            FileDescriptor[] with = [.. Enumerable.Range(0, message.Descriptors).Select(_ => files[_next++ % files.Length])];
            int cut = message.Cut == 0 ? message.Bytes.Length : message.Cut;
            if (!TrySend(message.Bytes.AsSpan(0, cut), with) || !TrySend(message.Bytes.AsSpan(cut), []))
                return;
            if (random.Next(8) == 0)
                Drain();
        }

        if (random.Next(4) != 0)
            Drain();
    }

    public void Dispose()
    {
        _arrived.Dispose();
        socket.Dispose();
    }

    private bool TrySend(ReadOnlySpan<byte> bytes, FileDescriptor[] with)
    {
        while (bytes.Length > 0)
        {
            int count = socket.Send(bytes, default, with, wait: false, out Errno error);
            if (count < 0 && error != Errno.TryAgain)
                return false;
            if (count < 0 && !Drain())
                Poll.WaitEither(socket.Descriptor, TimeSpan.FromMilliseconds(1));
            bytes = bytes[Math.Max(0, count)..];
            with = count < 0 ? with : [];
        }

        return true;
    }

    private bool Drain()
    {
        bool any = false;
        while (socket.Receive(_replies, _arrived, wait: false, out _) > 0)
            any = true;
        _arrived.Clear();
        return any;
    }
}
