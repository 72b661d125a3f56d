using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Server;

namespace Vfio.Broker.Leases;

/// <summary>What a user has open: from the moment when the device is given until its user closes it, or it is ended.</summary>
/// <param name="serverEnd">The broker's end of the connection to the user.</param>
internal abstract class LeaseRun(FileDescriptor serverEnd)
{
    /// <summary>The user's end; closed here once it was given. Null when its user has it already.</summary>
    internal FileDescriptor? ClientEnd { get; init; }

    /// <summary>Asks the user for the device; null where the device cannot.</summary>
    internal Action? RequestBack { get; init; }

    /// <summary>By what it is handed over to another broker; null where it cannot be.</summary>
    internal LeaseHandover? Handover { get; init; }

    /// <summary>By which interface the user has the kernel's descriptors, as <see cref="Vfio.User.Leases.BrokerReply.Direct"/> has it; null for
    /// none.</summary>
    internal virtual string? Direct => null;

    /// <summary>Why it ended; null while it has not.</summary>
    internal abstract string? EndReason { get; }

    /// <summary>How many messages its user has sent.</summary>
    internal abstract long MessageCount { get; }

    /// <summary>Whether it is in use although no message comes.</summary>
    internal abstract bool IsInUse { get; }

    /// <summary>Whether it has ended, or its user has closed the connection, which its thread may not have noticed yet.</summary>
    internal bool IsOver => EndReason is not null || Poll.IsHungUp(serverEnd);

    /// <summary>Ends it; does not wait.</summary>
    internal abstract void Stop(string reason);
}

/// <summary>A session of vfio-user.</summary>
/// <param name="session">The session.</param>
/// <param name="serverEnd">The broker's end of its connection.</param>
internal sealed class SessionRun(ServerSession session, FileDescriptor serverEnd) : LeaseRun(serverEnd)
{
    internal override string? EndReason => session.EndReason;

    internal override long MessageCount => session.MessageCount;

    internal override bool IsInUse => session.IsInUse;

    internal override void Stop(string reason) => session.Stop(reason);
}

/// <summary>A user who has the kernel's descriptors. The connection is the lease: its end is.</summary>
/// <param name="vfioInterface">By which interface.</param>
/// <param name="serverEnd">The broker's end of the connection.</param>
internal sealed class DirectRun(string vfioInterface, FileDescriptor serverEnd) : LeaseRun(serverEnd), IDisposable
{
    private readonly FileDescriptor _serverEnd = serverEnd;
    private readonly EventFd _stop = EventFd.Create();
    private volatile string? _reason;

    internal override string? Direct => vfioInterface;

    internal override string? EndReason => _reason;

    internal override long MessageCount => 0;

    // Nobody sees what it is used for.
    internal override bool IsInUse => true;

    internal override void Stop(string reason)
    {
        _reason ??= reason;
        _stop.Signal();
    }

    /// <summary>Waits until its user closes the connection, or it is stopped.</summary>
    internal void Wait() => Poll.WaitClosed(_serverEnd, _stop.Descriptor);

    /// <inheritdoc/>
    public void Dispose() => _stop.Dispose();
}
