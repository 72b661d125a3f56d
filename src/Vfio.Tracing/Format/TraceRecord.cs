using System.Runtime.InteropServices;

namespace Vfio.Tracing.Format;

/// <summary>One event as it is in the ring and in a file: 48 bytes, little-endian; <see cref="PayloadRecords"/> times 48 bytes of data
/// follow.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct TraceRecord
{
    /// <summary>Bytes of a record.</summary>
    internal const int Bytes = 48;

    /// <summary>The longest data of an event that a record can count, in bytes.</summary>
    internal const int MaxPayloadBytes = ushort.MaxValue * Bytes;

    /// <summary>When, in nanoseconds since the trace began.</summary>
    public ulong Time;

    /// <summary>What.</summary>
    public TraceEventKind Kind;

    /// <summary>How its data is kept.</summary>
    public TraceRecordFlags Flags;

    /// <summary>Which opening of a device, from 1.</summary>
    public ushort Session;

    /// <summary>The managed id of the thread.</summary>
    public uint Thread;

    /// <summary>The region, the kind of interrupt, or what else the event is about.</summary>
    public uint Number;

    /// <summary>How many bytes were accessed.</summary>
    public uint Length;

    /// <summary>Offset in the region, address of memory, or vector.</summary>
    public ulong Place;

    /// <summary>The value of up to 8 bytes; or a size, a count, a hash.</summary>
    public ulong Value;

    /// <summary>How long it took, in nanoseconds; 0 when that was not measured.</summary>
    public uint Duration;

    /// <summary>The errno; 0 for none.</summary>
    public ushort Error;

    /// <summary>How many records of data follow.</summary>
    public ushort PayloadRecords;

    /// <summary>How many records hold so many bytes.</summary>
    internal static int RecordsFor(int bytes) => (bytes + Bytes - 1) / Bytes;
}

/// <summary>How the data of an event is kept.</summary>
[Flags]
internal enum TraceRecordFlags : byte
{
    /// <summary>As it was.</summary>
    None = 0,

    /// <summary>Only a hash of it, in <see cref="TraceRecord.Value"/>.</summary>
    Redacted = 1,
}
