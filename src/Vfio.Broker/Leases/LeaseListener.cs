using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Broker.Leases;

/// <summary>A socket that a user listens at, whose clients get the device that the user holds: for programs that want a path, as QEMU
/// does.</summary>
/// <remarks>The connections are accepted here, so nobody but the broker and the client has them. The socket itself is the user's too, who
/// may
/// accept from it or close it at any time.</remarks>
internal sealed class LeaseListener : IDisposable
{
    private readonly UnixListener _listener;
    private readonly EventRegistration _registration;

    /// <summary>Starts to listen.</summary>
    /// <param name="listener">The socket; owned.</param>
    /// <param name="loop">The thread that waits for clients.</param>
    /// <param name="called">Called by it when a client waits, and not again before <see cref="Arm"/>.</param>
    internal LeaseListener(UnixListener listener, EventLoop loop, Action called)
    {
        _listener = listener;
        _registration = loop.AddOnce(listener.Descriptor, _ => called());
    }

    /// <summary>The socket.</summary>
    internal FileDescriptor Descriptor => _listener.Descriptor;

    /// <summary>Accepts a client.</summary>
    /// <returns>Null when there is none any more, or the socket is dead.</returns>
    internal UnixSocket? TryAccept()
    {
        try
        {
            return _listener.TryAccept();
        }
        catch (VfioException)
        {
            return null;
        }
    }

    /// <summary>Waits for the next client.</summary>
    internal void Arm()
    {
        try
        {
            _registration.Arm();
        }
        catch (VfioException)
        {
            // Its lease has ended meanwhile.
        }
    }

    /// <summary>Waits for none any more; the file is the user's. Does not wait for a call that is under way.</summary>
    public void Dispose()
    {
        _registration.Cancel();
        _listener.LeaveFile();
        _listener.Dispose();
    }
}
