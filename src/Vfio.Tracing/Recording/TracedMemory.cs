using Vfio.Native;
using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Memory that a traced device reaches through the trace alone, so that each access is seen.</summary>
internal sealed class TracedMemory : DmaMemory
{
    private readonly DmaMapping _mapping;
    private readonly DeviceTrace _trace;
    private readonly ushort _session;

    /// <summary>Puts it before the memory of a mapping, of which it takes a reference.</summary>
    internal TracedMemory(in DmaMapping mapping, DeviceTrace trace, ushort session)
    {
        mapping.Memory.AddReference();
        (_mapping, _trace, _session) = (mapping, trace, session);
    }

    /// <inheritdoc/>
    public override bool IsOwnerAsking => _mapping.Memory.IsOwnerAsking;

    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination)
    {
        Errno error = _mapping.Memory.Read(offset, destination);
        Add(TraceEventKind.DmaRead, offset, error == Errno.None ? destination : default, destination.Length, error);
        return error;
    }

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        // Before the memory changes: what the user does then comes after.
        Add(TraceEventKind.DmaWrite, offset, source, source.Length, Errno.None);
        Errno error = _mapping.Memory.Write(offset, source);
        if (error != Errno.None)
        {
            TraceRecord record = Make(TraceEventKind.Error, offset, error);
            (record.Length, record.Value) = ((uint)source.Length, (ulong)TraceEventKind.DmaWrite);
            _trace.Add(ref record);
        }

        return error;
    }

    /// <inheritdoc/>
    protected override void Free() => _mapping.Memory.Release();

    private void Add(TraceEventKind kind, ulong offset, ReadOnlySpan<byte> data, int length, Errno error)
    {
        TraceRecord record = Make(kind, offset, error);
        if (error == Errno.None)
        {
            _trace.Add(ref record, data, isMemory: true);
            return;
        }

        record.Length = (uint)length;
        _trace.Add(ref record);
    }

    private TraceRecord Make(TraceEventKind kind, ulong offset, Errno error) => new()
    {
        Kind = kind,
        Time = _trace.Now,
        Session = _session,
        Place = unchecked(_mapping.Start.Value + (offset - _mapping.MemoryOffset)),
        Error = (ushort)error,
    };
}
