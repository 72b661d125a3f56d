using Vfio.Native;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>By what a session is handed over to another process. The session's thread calls all but <see cref="IThreadRequest.IsAsked"/>.</summary>
internal interface ISessionHandover : IThreadRequest
{
    /// <summary>Readable when a successor asks.</summary>
    EventFd Asked { get; }

    /// <summary>Starts the contents of a handover.</summary>
    HandoverWriter Begin();

    /// <summary>Sends the contents to the successor, and waits for its answer.</summary>
    /// <returns>False when it did not take over: the session goes on here.</returns>
    bool TryGive(HandoverWriter contents);

    /// <summary>Refuses the successor that asks, if any, with a reason.</summary>
    void Refuse(string why);
}
