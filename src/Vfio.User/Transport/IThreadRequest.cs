namespace Vfio.User.Transport;

/// <summary>Somebody who may want the thread that waits for a peer.</summary>
internal interface IThreadRequest
{
    /// <summary>Whether it is wanted now: waiting ends. Read by the waiting thread; set by any.</summary>
    bool IsAsked { get; }
}
