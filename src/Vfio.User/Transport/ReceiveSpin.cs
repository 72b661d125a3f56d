using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.User.Transport;

/// <summary>Polls for bytes of the other side.</summary>
internal struct ReceiveSpin : ISpinTarget
{
    private readonly UnixSocket _socket;
    private readonly MessageBuffer _buffer;
    private readonly IThreadRequest? _request;
    private int _count;
    private Errno _error;

    private ReceiveSpin(UnixSocket socket, MessageBuffer buffer, IThreadRequest? request) =>
        (_socket, _buffer, _request) = (socket, buffer, request);

    /// <inheritdoc/>
    public readonly bool IsInterrupted => _request is { IsAsked: true };

    /// <inheritdoc/>
    public bool TryFind()
    {
        _count = _buffer.ReceiveBytes(_socket, wait: false, out _error);
        return _count >= 0 || _error != Errno.TryAgain;
    }

    /// <summary>Receives by polling, where that is worth it before a sleep.</summary>
    /// <param name="spinner">Of the connection; <see cref="Spinner.IsWorthIt"/>.</param>
    /// <param name="socket">The connection.</param>
    /// <param name="buffer">Receives the bytes.</param>
    /// <param name="deadline">When to stop.</param>
    /// <param name="request">A request for this thread; null for none.</param>
    /// <param name="count">As <see cref="UnixSocket.Receive"/>.</param>
    /// <param name="error">As <see cref="UnixSocket.Receive"/>; <see cref="Errno.TryAgain"/> once the deadline has passed.</param>
    /// <returns>False when the caller should sleep now.</returns>
    internal static bool TryReceive(
        Spinner spinner, UnixSocket socket, MessageBuffer buffer, Deadline deadline, IThreadRequest? request, out int count, out Errno error)
    {
        ReceiveSpin spin = new(socket, buffer, request);
        bool isOver = spinner.TrySpin(ref spin, deadline);
        (count, error) = (spin._count, spin._error);
        return isOver;
    }
}
