namespace Vfio.Drivers.Nvme;

/// <summary>The operations of one call, in the order of their bytes.</summary>
internal struct NvmeChain
{
    private NvmeOperation? _first;
    private NvmeOperation? _last;

    internal readonly bool IsEmpty => _first is null;

    internal readonly NvmeOperation First => _first!;

    internal void Add(NvmeOperation operation)
    {
        operation.Next = null;
        if (_last is null)
            _first = operation;
        else
            _last.Next = operation;
        _last = operation;
    }

    internal NvmeOperation RemoveFirst()
    {
        NvmeOperation first = _first!;
        _first = first.Next;
        if (_first is null)
            _last = null;
        first.Next = null;
        return first;
    }
}
