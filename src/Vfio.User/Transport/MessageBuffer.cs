using System.Runtime.CompilerServices;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.User.Captures;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.User.Transport;

/// <summary>Bytes and descriptors that arrived, cut into messages: any split and any number of messages in one receive.</summary>
/// <remarks>
/// <para>Bytes pass three marks: <c>_end</c>, received; <c>_scanned</c>, known to be whole messages; <c>_taken</c>, taken.
/// A body that was taken stays in place until <see cref="Compact"/>.</para>
/// <para>Descriptors belong to the last message that starts in the receive that brought them: the kernel ends a receive after the
/// segment with descriptors, and a sender gives such a message a segment of its own.</para>
/// <para>Not thread-safe, except <see cref="ReceiveBytes"/>, which shares no field with another method.</para>
/// </remarks>
internal sealed class MessageBuffer : IDisposable
{
    /// <summary>The most descriptors that may wait for their messages.</summary>
    internal const int MaxHeldDescriptors = 512;

    private readonly byte[] _bytes;
    private readonly int _maxMessageBytes;
    private readonly DescriptorQueue _arrived = new();
    private readonly List<HeldDescriptor> _held = [];
    private int _taken;
    private int _scanned;
    private int _end;

    /// <summary>Makes an empty buffer with space for three of the largest messages.</summary>
    /// <param name="maxMessageBytes">Bytes of the largest message, header included; a larger one breaks the stream.</param>
    internal MessageBuffer(int maxMessageBytes)
    {
        _maxMessageBytes = maxMessageBytes;
        _bytes = GC.AllocateUninitializedArray<byte>(3 * maxMessageBytes, pinned: true);
    }

    /// <summary>Where messages are captured when they are found; null for nowhere. Until <see cref="Clear"/>.</summary>
    internal CapturePoint? Capture { get; set; }

    /// <summary>Why the stream cannot be read any further; null while it can.</summary>
    internal string? Broken { get; private set; }

    /// <summary>Whether more can be received.</summary>
    internal bool HasRoom => _end < _bytes.Length;

    /// <summary>Whether part of a message is there, and not all of it.</summary>
    internal bool IsMidMessage => _scanned < _end;

    /// <summary>Whether <see cref="TryTake"/> has a message.</summary>
    internal bool HasMessage => _taken < _scanned;

    /// <summary>The end of what <see cref="TryTake"/> may take.</summary>
    internal int ScannedEnd => _scanned;

    /// <summary>Whether descriptors wait, for any message.</summary>
    internal bool HoldsDescriptors => _held.Count > 0;

    /// <summary>Drops everything, for the next connection.</summary>
    internal void Clear()
    {
        if (IsMidMessage && Broken is null)
            CaptureRest();
        Capture = null;
        _taken = _scanned = _end = 0;
        Broken = null;
        _arrived.Clear();
        foreach (HeldDescriptor held in _held)
            held.Descriptor?.Dispose();
        _held.Clear();
    }

    /// <summary>Another process has what arrived from now on: the stream neither ends nor breaks here.</summary>
    internal void Depart() => Capture = null;

    /// <summary>Saves what arrived and was not taken.</summary>
    internal void Save(HandoverWriter to)
    {
        to.WriteBytes(_bytes.AsSpan(_taken, _end - _taken));
        to.Write(_held.Count);
        foreach (HeldDescriptor held in _held)
        {
            to.Write(held.Owner - _taken);
            to.WriteOptional(held.Descriptor);
        }
    }

    /// <summary>Restores what another process saved, into an empty buffer. It is scanned again.</summary>
    /// <exception cref="VfioException">EPROTO: it is not valid.</exception>
    internal void Restore(HandoverReader from)
    {
        ReadOnlySpan<byte> bytes = from.ReadBytes(_bytes.Length);
        bytes.CopyTo(_bytes);
        _end = bytes.Length;
        for (int count = from.ReadCount(MaxHeldDescriptors); count > 0; count--)
            _held.Add(new HeldDescriptor(from.ReadCount(_end), from.ReadOptional()));
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>Receives into the free space. The bytes have no effect until <see cref="Accept"/>.</summary>
    /// <returns>As <see cref="UnixSocket.Receive"/>.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int ReceiveBytes(UnixSocket socket, bool wait, out Errno error) =>
        socket.Receive(_bytes.AsSpan(_end), _arrived, wait, out error);

    /// <summary>Adds what <see cref="ReceiveBytes"/> brought.</summary>
    /// <param name="count">How many bytes, above 0.</param>
    /// <param name="error">What came with them: <see cref="Errno.TooManyOpenFiles"/> when descriptors were lost.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Accept(int count, Errno error)
    {
        _end += count;
        if (_arrived.Count > 0 || error != Errno.None)
            Hold(error);
    }

    /// <summary>Assigns the descriptors that arrived to their message.</summary>
    private void Hold(Errno error)
    {
        int owner = LastStart();
        while (_arrived.Take() is FileDescriptor descriptor)
            _held.Add(new HeldDescriptor(owner, descriptor));
        if (error != Errno.None)
            _held.Add(new HeldDescriptor(owner, null));
        if (_held.Count > MaxHeldDescriptors)
            Break($"{_held.Count} descriptors wait, at most {MaxHeldDescriptors} may");
    }

    /// <summary>Finds the next whole message that was not seen yet.</summary>
    /// <returns>False when there is none, or the stream is broken.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryScan(out MessageHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        header = default;
        ReadOnlySpan<byte> rest = _bytes.AsSpan(_scanned, _end - _scanned);
        if (Broken is not null || !Blittable.TryRead(rest, out header))
            return false;
        if (header.Size < MessageHeader.Length || header.Size > (uint)_maxMessageBytes)
        {
            Break($"a message of {header.Size} bytes, {MessageHeader.Length} to {_maxMessageBytes} are allowed");
            return false;
        }

        if (header.Type > MessageFlags.Reply)
        {
            Break($"a message of type {(uint)header.Type}");
            return false;
        }

        if (header.Size > (uint)rest.Length)
            return false;
        body = rest[MessageHeader.Length..(int)header.Size];
        if (Capture is not null)
            CaptureMessage(rest[..(int)header.Size]);
        _scanned += (int)header.Size;
        return true;
    }

    /// <summary>Removes the message that the last <see cref="TryScan"/> found, and closes its descriptors.</summary>
    internal void DropScanned(in MessageHeader header)
    {
        int size = (int)header.Size;
        int start = _scanned - size;
        if (_scanned < _end)
            _bytes.AsSpan(_scanned, _end - _scanned).CopyTo(_bytes.AsSpan(start));
        _scanned = start;
        _end -= size;
        for (int i = _held.Count - 1; i >= 0; i--)
        {
            HeldDescriptor held = _held[i];
            if (held.Owner > start)
            {
                _held[i] = held with { Owner = held.Owner - size };
            }
            else if (held.Owner == start)
            {
                held.Descriptor?.Dispose();
                _held.RemoveAt(i);
            }
        }
    }

    /// <summary>Takes the next message that was scanned.</summary>
    /// <param name="limit">An earlier <see cref="ScannedEnd"/>.</param>
    /// <param name="header">Its header.</param>
    /// <param name="body">What follows the header; stays valid until <see cref="Compact"/>.</param>
    /// <param name="position">Names the message for <see cref="Claim"/>.</param>
    /// <returns>False when all up to the limit are taken.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryTake(int limit, out MessageHeader header, out ReadOnlySpan<byte> body, out int position)
    {
        position = _taken;
        body = default;
        header = default;
        if (_taken >= limit)
            return false;
        header = Blittable.Read<MessageHeader>(_bytes.AsSpan(_taken));
        body = _bytes.AsSpan(_taken + MessageHeader.Length, (int)header.Size - MessageHeader.Length);
        _taken += (int)header.Size;
        return true;
    }

    /// <summary>Takes the descriptors of a message; the caller owns them.</summary>
    /// <param name="position">Which message.</param>
    /// <param name="into">Receives them; one that does not fit is closed.</param>
    /// <param name="lost">Whether some are missing because this process, or <paramref name="into"/>, has no space.</param>
    /// <returns>How many.</returns>
    internal int Claim(int position, Span<FileDescriptor?> into, out bool lost)
    {
        int count = 0;
        int kept = 0;
        lost = false;
        for (int i = 0; i < _held.Count; i++)
        {
            HeldDescriptor held = _held[i];
            if (held.Owner > position)
            {
                _held[kept++] = held;
            }
            else if (held.Owner == position && held.Descriptor is not null && count < into.Length)
            {
                into[count++] = held.Descriptor;
            }
            else
            {
                lost |= held.Owner == position;
                held.Descriptor?.Dispose();
            }
        }

        _held.RemoveRange(kept, _held.Count - kept);
        return count;
    }

    /// <summary>Frees the space of messages that were taken.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Compact()
    {
        if (_taken == _end)
        {
            // No message is left that a descriptor could belong to.
            _taken = _scanned = _end = 0;
            return;
        }

        if (_bytes.Length - _end < _maxMessageBytes)
            MoveToFront();
    }

    private void MoveToFront()
    {
        _bytes.AsSpan(_taken, _end - _taken).CopyTo(_bytes);
        for (int i = 0; i < _held.Count; i++)
            _held[i] = _held[i] with { Owner = _held[i].Owner - _taken };
        _scanned -= _taken;
        _end -= _taken;
        _taken = 0;
    }

    /// <summary>The start of the last message of which at least one byte has arrived.</summary>
    private int LastStart()
    {
        int start = _scanned;
        while (Blittable.TryRead(_bytes.AsSpan(start, _end - start), out MessageHeader header)
            && header.Size >= MessageHeader.Length
            && header.Size < (uint)(_end - start))
        {
            start += (int)header.Size;
        }

        return start;
    }

    private void Break(string reason)
    {
        if (Broken is not null)
            return;
        Broken = reason;
        CaptureRest();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CaptureMessage(ReadOnlySpan<byte> message) => Capture!.Received(message, DescriptorsOf(_scanned));

    private void CaptureRest() => Capture?.ReceivedPart(_bytes.AsSpan(_scanned, _end - _scanned), DescriptorsOf(_scanned));

    /// <summary>How many descriptors came with the message at a position, those that were lost too.</summary>
    private int DescriptorsOf(int position)
    {
        int count = 0;
        foreach (HeldDescriptor held in _held)
            count += held.Owner == position ? 1 : 0;
        return count;
    }

    /// <summary>A descriptor and the message that it belongs to; null for one that was lost.</summary>
    private readonly record struct HeldDescriptor(int Owner, FileDescriptor? Descriptor);
}
