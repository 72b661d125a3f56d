using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>The last commands that failed, newest first: log page 01h. Any thread.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.16.1.2.</remarks>
internal sealed class NvmeErrorLog
{
    /// <summary>How many entries it keeps.</summary>
    internal const int Entries = 64;

    private const int EntryBytes = 64;
    private readonly Lock _lock = new();
    private readonly byte[] _entries = new byte[Entries * EntryBytes];
    private long _count;

    /// <summary>How many there ever were.</summary>
    internal long Count => Interlocked.Read(ref _count);

    /// <summary>Adds a command that failed.</summary>
    internal void Add(int queue, in NvmeCommand command, NvmeOutcome outcome)
    {
        const int NoParameter = 0xffff;
        lock (_lock)
        {
            _entries.AsSpan(0, _entries.Length - EntryBytes).CopyTo(_entries.AsSpan(EntryBytes));
            Span<byte> entry = _entries.AsSpan(0, EntryBytes);
            entry.Clear();
            BinaryPrimitives.WriteInt64LittleEndian(entry, ++_count);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], (ushort)queue);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[10..], command.Id);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[12..], (ushort)(outcome.Status << 1));
            BinaryPrimitives.WriteUInt16LittleEndian(entry[14..], NoParameter);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], queue == 0 ? 0 : command.Block);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], command.NamespaceId);
        }
    }

    /// <summary>Writes the log page.</summary>
    internal void Write(Span<byte> data)
    {
        lock (_lock)
            _entries.CopyTo(data);
    }

    /// <summary>Saves it.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_count);
        state.Write(_entries);
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        if (!state.TryRead(out _count) || !state.TryRead(_entries.Length, out ReadOnlySpan<byte> entries))
            return false;
        entries.CopyTo(_entries);
        return true;
    }
}
