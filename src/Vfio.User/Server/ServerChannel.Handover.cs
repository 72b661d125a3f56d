using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <content>A connection goes on in another process.</content>
internal sealed partial class ServerChannel
{
    // A thread that sleeps for its client hears nobody else, so it does not do that for long: whoever is silent for this long
    // is waited for together with a successor.
    private static readonly TimeSpan LongestSleep = TimeSpan.FromMilliseconds(100);

    /// <summary>The connection; do not dispose it.</summary>
    internal FileDescriptor Descriptor => _socket.Descriptor;

    /// <summary>Makes the calling thread the session's.</summary>
    internal void Own() => _owner = Environment.CurrentManagedThreadId;

    /// <summary>Waits until no thread is in here but the session's; the device is suspended.</summary>
    /// <returns>False when the time ran out.</returns>
    internal bool IsQuiet(TimeSpan timeout)
    {
        Deadline deadline = new(timeout);
        using ParkingLock.Scope inside = _lock.Enter();
        while ((_receiving || _transfers > 0) && !deadline.HasPassed)
            _lock.Sleep(deadline);
        return !_receiving && _transfers == 0;
    }

    /// <summary>Writes down what arrived and was not handled, and what the client owes an answer to.</summary>
    internal void Save(HandoverWriter to)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        _in.Save(to);
        for (int i = 0; i < _requests.Length; i++)
            (_requests[i] ??= new DmaRequest(i)).Save(to);
    }

    /// <summary>Takes over what another process saved.</summary>
    /// <exception cref="VfioException">EPROTO: it does not fit.</exception>
    internal void Restore(HandoverReader from)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        _in.Restore(from);
        for (int i = 0; i < _requests.Length; i++)
            (_requests[i] = new DmaRequest(i)).Restore(from);
        Scan();
        NoteMessageEnd();
    }

    /// <summary>Leaves the connection to another process: nothing is sent, and nothing shut down.</summary>
    internal void LetGo()
    {
        using (_lock.Enter())
        {
            IsStopped = true;
            EndInside("a successor goes on");
        }

        Twin?.Dispose();
    }

    private bool WaitReadable(Deadline deadline, HandoverPoint? handover)
    {
        if (handover is null)
            return Poll.WaitReadable(_socket.Descriptor, deadline.Left);
        Span<bool> ready = [false, false];
        return Poll.WaitAny([_socket.Descriptor, handover.Asked.Descriptor], ready, deadline.Left) > 0 && ready[0];
    }
}
