using System.Runtime.CompilerServices;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>Replies that wait to be sent together, and the one that is being written.</summary>
/// <remarks>Used by the session's thread alone. A reply is opened, appended to, and closed. Closed ones may be sent while
/// another is open, since the device may need the client's memory in the middle of an access.</remarks>
internal sealed class ReplyBuffer
{
    /// <summary>How many waiting bytes should be sent at once.</summary>
    internal const int EnoughBytes = 64 << 10;

    private readonly byte[] _bytes;
    private int _sent;
    private int _closed;
    private int _end;

    /// <summary>Makes an empty buffer.</summary>
    /// <param name="maxMessageBytes">Bytes of the largest reply.</param>
    internal ReplyBuffer(int maxMessageBytes) =>
        _bytes = GC.AllocateUninitializedArray<byte>(EnoughBytes + (2 * maxMessageBytes), pinned: true);

    /// <summary>Whole replies that were not sent.</summary>
    internal ReadOnlySpan<byte> Waiting => _bytes.AsSpan(_sent, _closed - _sent);

    /// <summary>Descriptors to send with the last reply; used until it is sent. Null when there are none.</summary>
    internal FileDescriptor[]? Descriptors { get; set; }

    /// <summary>Mapped memory that follows the last reply, and belongs to it, instead of bytes in here.</summary>
    internal (SharedMemory Memory, ulong Offset, int Length)? Tail { get; set; }

    /// <summary>Whether descriptors or memory go with the last reply.</summary>
    internal bool HasCompany
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Descriptors is not null || Tail is not null;
    }

    /// <summary>Whether the last reply must be sent before another is opened.</summary>
    internal bool IsUrgent
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => HasCompany || _closed - _sent >= EnoughBytes;
    }

    /// <summary>Drops everything, for the next connection.</summary>
    internal void Clear()
    {
        _sent = _closed = _end = 0;
        Descriptors = null;
        Tail = null;
    }

    /// <summary>Called when all that waited was sent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Sent()
    {
        _sent = _closed;
        Tail = null;
        Descriptors = null;
    }

    /// <summary>Starts a reply, with space for the header.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Open()
    {
        if (_sent == _closed)
            _sent = _closed = 0;
        _end = _closed + MessageHeader.Length;
    }

    /// <summary>Adds bytes to the open reply, for the caller to fill.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Span<byte> Append(int count)
    {
        Span<byte> place = _bytes.AsSpan(_end, count);
        _end += count;
        return place;
    }

    /// <summary>Removes the last bytes of the open reply: they were not needed.</summary>
    internal void TakeBack(int count) => _end -= count;

    /// <summary>Adds a struct to the open reply.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Append<T>(in T value)
        where T : unmanaged => Blittable.Write(Append(Blittable.SizeOf<T>()), value);

    /// <summary>Ends the open reply.</summary>
    /// <param name="request">What it answers.</param>
    /// <param name="error">Why the request failed, which drops what was appended; or <see cref="Errno.None"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Close(in MessageHeader request, Errno error)
    {
        if (error != Errno.None)
        {
            _end = _closed + MessageHeader.Length;
            Descriptors = null;
            Tail = null;
        }

        int body = _end - _closed - MessageHeader.Length + (Tail?.Length ?? 0);
        Blittable.Write(_bytes.AsSpan(_closed), request.Reply(body, error));
        _closed = _end;
    }

    /// <summary>Drops the open reply: the client requested none.</summary>
    internal void Drop()
    {
        _end = _closed;
        Descriptors = null;
        Tail = null;
    }
}
