using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User.Transport;

namespace Vfio.User.Server;

/// <summary>The large buffers of a session, kept from one session to the next.</summary>
/// <remarks>Pages that no message has used cost no memory.</remarks>
/// <param name="maxMessageBytes">Bytes of the largest message.</param>
internal sealed class SessionBuffers(int maxMessageBytes) : IDisposable
{
    private MessageBuffer? _twin;

    /// <summary>The bytes received.</summary>
    internal MessageBuffer Received { get; } = new(maxMessageBytes);

    /// <summary>The replies to send.</summary>
    internal ReplyBuffer Replies { get; } = new(maxMessageBytes);

    /// <summary>The bytes received on the twin socket; allocated for the first session that has one.</summary>
    internal MessageBuffer Twin => _twin ??= new(maxMessageBytes);

    /// <summary>The descriptors of the command under way, which empties it.</summary>
    internal FileDescriptor?[] Descriptors { get; } = new FileDescriptor?[UnixSocket.MaxDescriptors];

    /// <summary>Clears what the last session left and closes its descriptors.</summary>
    internal void Clear()
    {
        Received.Clear();
        Replies.Clear();
        _twin?.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();
}
