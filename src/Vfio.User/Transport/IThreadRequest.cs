namespace Vfio.User.Transport;

/// <summary>A request for the thread that waits for the other side of a connection.</summary>
internal interface IThreadRequest
{
    /// <summary>Whether the request is made: the wait then ends. Read by the waiting thread; set by any.</summary>
    bool IsAsked { get; }
}
