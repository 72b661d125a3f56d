using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <content>The handover of a connection to another process.</content>
internal sealed partial class ServerChannel
{
    // A thread that sleeps in the socket notices no successor, so it sleeps at most this long. After that it waits for the client and for
    // a successor at once.
    private static readonly TimeSpan LongestSleep = TimeSpan.FromMilliseconds(100);

    /// <summary>The connection; do not dispose it.</summary>
    internal FileDescriptor Descriptor => _socket.Descriptor;

    /// <summary>Makes the calling thread the session's thread.</summary>
    internal void Own() => _owner = Environment.CurrentManagedThreadId;

    /// <summary>Waits until no other thread than the session's uses the channel; the device is suspended.</summary>
    /// <returns>False when the timeout came first.</returns>
    internal bool IsQuiet(TimeSpan timeout)
    {
        Deadline deadline = new(timeout);
        using ParkingLock.Scope inside = _lock.Enter();
        while ((_receiving || _transfers > 0) && !deadline.HasPassed)
            _lock.Sleep(deadline);
        return !_receiving && _transfers == 0;
    }

    /// <summary>Saves what arrived and was not handled, and which requests the client still has to answer.</summary>
    internal void Save(HandoverWriter to)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        _in.Save(to);
        for (int i = 0; i < _requests.Length; i++)
            (_requests[i] ??= new DmaRequest(i)).Save(to);
    }

    /// <summary>Restores what another process saved.</summary>
    /// <exception cref="VfioException">EPROTO: it is not valid.</exception>
    internal void Restore(HandoverReader from)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        _in.Restore(from);
        for (int i = 0; i < _requests.Length; i++)
            (_requests[i] = new DmaRequest(i)).Restore(from);
        Scan();
        NoteMessageEnd();
    }

    /// <summary>Leaves the connection to another process: nothing is sent, and nothing is shut down.</summary>
    internal void LetGo()
    {
        using (_lock.Enter())
        {
            IsStopped = true;
            EndInside("a successor took over");
            _in.Depart();
        }

        Twin?.LetGo();
    }

    private bool WaitReadable(Deadline deadline, ISessionHandover? handover)
    {
        if (handover is null)
            return Poll.WaitReadable(_socket.Descriptor, deadline.Left);
        Span<bool> ready = [false, false];
        return Poll.WaitAny([_socket.Descriptor, handover.Asked.Descriptor], ready, deadline.Left) > 0 && ready[0];
    }
}
