using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.User.Leases;

/// <summary>A connection on which each message is one line, and may have descriptors.</summary>
/// <remarks>One thread receives; any thread may send.</remarks>
/// <param name="socket">The connection; owned.</param>
/// <param name="maxLineBytes">Bytes of the longest line that is received, its end included. That is all the memory that a peer can make
/// this object use.</param>
internal sealed class LineSocket(UnixSocket socket, int maxLineBytes) : IDisposable
{
    private const int FirstBytes = 1024;
    private readonly DescriptorQueue _descriptors = new();
    private byte[] _bytes = new byte[Math.Min(FirstBytes, maxLineBytes)];
    private int _count;
    private int _taken;

    /// <summary>Whether descriptors are taken; those that come otherwise are closed by the kernel, and cost this process nothing.</summary>
    internal bool TakesDescriptors { get; set; } = true;

    /// <summary>The connection.</summary>
    internal UnixSocket Socket => socket;

    /// <summary>Whether bytes are here that came after the last line.</summary>
    internal bool HasMore => _count > _taken;

    /// <summary>Receives what is there, until a line is whole. Never waits.</summary>
    /// <param name="line">The line without its end; valid until the next call.</param>
    internal LineState TryReceive(out ReadOnlySpan<byte> line)
    {
        line = default;
        if (_taken > 0)
        {
            _bytes.AsSpan(_taken, _count - _taken).CopyTo(_bytes);
            _count -= _taken;
            _taken = 0;
        }

        int searched = 0;
        while (true)
        {
            int end = _bytes.AsSpan(searched, _count - searched).IndexOf((byte)'\n');
            if (end >= 0)
            {
                _taken = searched + end + 1;
                line = _bytes.AsSpan(0, _taken - 1);
                return LineState.Whole;
            }

            searched = _count;
            if (_count == _bytes.Length)
            {
                if (_count == maxLineBytes)
                    return LineState.TooLong;
                Array.Resize(ref _bytes, Math.Min(maxLineBytes, 4 * _bytes.Length));
            }

            int received = socket.Receive(_bytes.AsSpan(_count), TakesDescriptors ? _descriptors : null, wait: false, out Errno error);
            if (received <= 0)
                return received < 0 && error == Errno.TryAgain ? LineState.Partial : LineState.Closed;
            _count += received;
            if (_descriptors.Count > 1)
                return LineState.TooLong;
        }
    }

    /// <summary>Takes the first descriptor that came; the caller owns it. Null when none did.</summary>
    internal FileDescriptor? TakeDescriptor() => _descriptors.Take();

    /// <summary>Closes all descriptors that came and were not taken.</summary>
    internal void DropDescriptors() => _descriptors.Clear();

    /// <summary>Sends a line whole, and a descriptor with it. Never waits.</summary>
    /// <param name="line">The line, with its end; so short that it fits into an empty queue.</param>
    /// <param name="descriptor">Null for none; the caller keeps it.</param>
    /// <returns>False when the peer is gone, or does not read. Then no other line can be sent.</returns>
    internal bool TrySend(ReadOnlySpan<byte> line, FileDescriptor? descriptor = null)
    {
        ReadOnlySpan<FileDescriptor> with = descriptor is null ? default : [descriptor];
        return socket.Send(line, default, with, wait: false, out _) == line.Length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        socket.Dispose();
        _descriptors.Dispose();
    }
}

/// <summary>What <see cref="LineSocket.TryReceive"/> found.</summary>
internal enum LineState
{
    /// <summary>A line.</summary>
    Whole,

    /// <summary>Its end is not there yet.</summary>
    Partial,

    /// <summary>The peer has closed the connection.</summary>
    Closed,

    /// <summary>It is longer than allowed, or has more than one descriptor: nothing more can be received.</summary>
    TooLong,
}
