using Vfio.Native;

namespace Vfio.Guard;

/// <summary>A BAR that is plain memory, which a driver may map: a frame buffer, a buffer on the card.</summary>
/// <remarks>A reset leaves its contents, as on a card. A device that clears it does so in <see
/// cref="EmulatedFunction.OnReset"/>. Each user of the function has a file of its own behind it, because a user can keep a mapping for
/// as long as it likes: the next one finds zeros, or what <see cref="KeepsContents"/> says. Memory that was neither written nor shown stays.
/// </remarks>
public sealed class MemoryBar : BarContent, IDisposable
{
    private const int CopiedBytes = 64 << 10;
    private readonly string _name;

    // Held while bytes are copied: a thread of the device's own may be doing it when the memory is changed for the next user.
    private readonly Lock _lock = new();
    private SharedMemory _memory;
    private bool _isWritten;

    // What was given out as it is may be in use for one more user.
    private SharedMemory? _last;
    private bool _isGiven;

    /// <summary>Makes zeroed memory.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="length">Size in bytes: a power of two; below a page it can be read and written, but not mapped.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public MemoryBar(string name, ulong length)
    {
        CheckLength(length);
        _name = name;
        _memory = SharedMemory.Create(name, length);
        Length = length;
    }

    /// <inheritdoc/>
    public override ulong Length { get; }

    /// <summary>Whether the next user finds a copy of what the last one left: for contents that are the device's own. Default: no.</summary>
    public bool KeepsContents { get; init; }

    /// <inheritdoc/>
    public override SharedMemory Memory
    {
        get
        {
            // Whoever asks for it may write it, at any later time.
            _isGiven = true;
            _isWritten = true;
            return _memory;
        }
    }

    /// <inheritdoc/>
    internal override SharedMemory Shown => _memory;

    /// <inheritdoc/>
    public override void Read(ulong offset, Span<byte> destination)
    {
        lock (_lock)
            _memory.TryRead(offset, destination);
    }

    /// <inheritdoc/>
    public override void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            _isWritten = true;
            _memory.TryWrite(offset, source);
        }
    }

    /// <inheritdoc/>
    public override bool TryTakeMemory(SharedMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!memory.IsMapped || !memory.IsWritable || memory.Length != Length)
            return false;
        lock (_lock)
        {
            _memory.Dispose();
            _memory = memory;
            _isWritten = true;
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _last?.Dispose();
        _memory.Dispose();
    }

    /// <inheritdoc/>
    internal override void Renew(bool wasShown)
    {
        if (!wasShown && !_isWritten)
            return;
        SharedMemory fresh = SharedMemory.Create(_name, Length);
        lock (_lock)
        {
            if (KeepsContents)
                Copy(_memory, fresh);
            _last?.Dispose();
            _last = _isGiven ? _memory : null;
            if (!_isGiven)
                _memory.Dispose();
            _memory = fresh;
            _isWritten = KeepsContents;
            _isGiven = false;
        }
    }

    private static void Copy(SharedMemory from, SharedMemory to)
    {
        byte[] piece = new byte[Math.Min(CopiedBytes, from.Length)];
        for (ulong at = 0; at < from.Length; at += (ulong)piece.Length)
        {
            // Zeros are there already, and take no memory as long as nobody writes them.
            if (from.TryRead(at, piece) && piece.AsSpan().ContainsAnyExcept((byte)0))
                to.TryWrite(at, piece);
        }
    }
}
