using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User.Transport;

namespace Vfio.User.Server;

/// <summary>The large buffers of a session, kept from one session to the next.</summary>
/// <remarks>Pages that no message reached cost no memory.</remarks>
/// <param name="maxMessageBytes">Bytes of the largest message.</param>
internal sealed class SessionBuffers(int maxMessageBytes) : IDisposable
{
    private MessageBuffer? _twin;

    /// <summary>What arrived.</summary>
    internal MessageBuffer Received { get; } = new(maxMessageBytes);

    /// <summary>What is to be sent.</summary>
    internal ReplyBuffer Replies { get; } = new(maxMessageBytes);

    /// <summary>What arrived on the twin socket; made for the first session that has one.</summary>
    internal MessageBuffer Twin => _twin ??= new(maxMessageBytes);

    /// <summary>The descriptors of the command under way, which empties it.</summary>
    internal FileDescriptor?[] Descriptors { get; } = new FileDescriptor?[UnixSocket.MaxDescriptors];

    /// <summary>Forgets the last session and closes the descriptors that it left.</summary>
    internal void Clear()
    {
        Received.Clear();
        Replies.Clear();
        _twin?.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();
}
