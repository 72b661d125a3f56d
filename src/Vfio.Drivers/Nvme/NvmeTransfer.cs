namespace Vfio.Drivers.Nvme;

/// <summary>The way of one read or write through its bytes: cut into operations, of which several are under way, in the order of their
/// bytes.</summary>
/// <remarks>Who it belongs to takes the operations and waits for them, asleep or by await.</remarks>
internal struct NvmeTransfer(NvmeOperations operations, byte opcode, long offset, int length, int commandBytes)
{
    private NvmeOperation? _first;
    private NvmeOperation? _last;
    private int _started;
    private int _finished;

    /// <summary>Whether all bytes have been moved.</summary>
    internal readonly bool IsDone => _finished == length;

    /// <summary>Whether there are bytes that no operation was started for.</summary>
    internal readonly bool HasMore => _started < length;

    /// <summary>Whether no operation is under way.</summary>
    internal readonly bool IsIdle => _first is null;

    /// <summary>The operation to wait for next.</summary>
    internal readonly NvmeOperation First => _first!;

    /// <summary>Starts an operation for the next bytes.</summary>
    /// <param name="operation">One that was taken; its buffer gets the bytes to write.</param>
    /// <param name="source">What the whole transfer writes; nothing when it reads.</param>
    internal void Start(NvmeOperation operation, ReadOnlySpan<byte> source)
    {
        int count = Math.Min(commandBytes, length - _started);
        operation.Next = null;
        if (_last is null)
            _first = operation;
        else
            _last.Next = operation;
        _last = operation;
        if (opcode == NvmeOpcode.Write)
            operation.Buffer.Write(operation.BufferOffset, source.Slice(_started, count));
        operations.Start(operation, opcode, offset + _started, count);
        _started += count;
    }

    /// <summary>Takes what the first operation, which is over, has read, and gives it back.</summary>
    /// <param name="destination">Where the whole transfer reads to; nothing when it writes.</param>
    /// <param name="target">The device, for messages.</param>
    /// <exception cref="VfioException">The operation failed; it is still the first.</exception>
    internal void Finish(Span<byte> destination, string target)
    {
        First.ThrowIfFailed(target);
        if (opcode == NvmeOpcode.Read)
            First.Buffer.Read(First.BufferOffset, destination.Slice(_finished, First.Bytes));
        _finished += First.Bytes;
        Return();
    }

    /// <summary>Gives the first operation back, which is over.</summary>
    internal void Return()
    {
        NvmeOperation first = First;
        _first = first.Next;
        if (_first is null)
            _last = null;
        first.Next = null;
        operations.Return(first);
    }
}
