using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Interrupts;

/// <summary>The MSI-X table and pending bits of an emulated function; PCI Local Bus 3.0, section 6.8.2.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class MsixTable
{
    private readonly Lock _lock = new();
    private readonly uint[] _entries;
    private readonly ulong[] _pending;

    internal MsixTable(MsixDescription description)
    {
        Description = description;
        _entries = new uint[4 * description.Vectors];
        _pending = new ulong[(description.Vectors + 63) / 64];
        Reset();
    }

    internal MsixDescription Description { get; }

    /// <summary>Reads bytes of the table.</summary>
    internal void Read(int offset, Span<byte> destination)
    {
        lock (_lock)
        {
            Blittable.AsBytes<uint>(_entries).Slice(offset, destination.Length).CopyTo(destination);
        }
    }

    /// <summary>Writes bytes of the table; of Vector Control only the mask bit is implemented.</summary>
    internal void Write(int offset, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            for (int i = 0; i < source.Length; i++)
            {
                int word = (offset + i) >> 2;
                int shift = 8 * ((offset + i) & 3);
                uint value = (_entries[word] & ~(0xffu << shift)) | (uint)source[i] << shift;
                _entries[word] = (word & 3) == 3 ? value & 1 : (word & 3) == 0 ? value & ~3u : value;
            }
        }
    }

    /// <summary>Reads bytes of the pending bit array.</summary>
    internal void ReadPending(int offset, Span<byte> destination)
    {
        lock (_lock)
        {
            Blittable.AsBytes<ulong>(_pending).Slice(offset, destination.Length).CopyTo(destination);
        }
    }

    /// <summary>Whether a vector may be sent now; if not, it becomes pending.</summary>
    internal bool TryRaise(int vector, bool functionMask)
    {
        lock (_lock)
        {
            if (!functionMask && !IsMasked(vector))
                return true;
            _pending[vector >> 6] |= 1UL << (vector & 63);
            return false;
        }
    }

    /// <summary>Takes one pending vector that is no longer masked; -1 when there is none.</summary>
    internal int TakeUnmasked()
    {
        lock (_lock)
        {
            for (int i = 0; i < _pending.Length; i++)
            {
                for (ulong left = _pending[i]; left != 0; left &= left - 1)
                {
                    int vector = 64 * i + System.Numerics.BitOperations.TrailingZeroCount(left);
                    if (IsMasked(vector))
                        continue;
                    _pending[i] &= ~(1UL << (vector & 63));
                    return vector;
                }
            }

            return -1;
        }
    }

    /// <summary>Saves the pending bits; the guard programs the entries.</summary>
    internal void Save(StateWriter state)
    {
        lock (_lock)
        {
            state.Write(Blittable.AsBytes<ulong>(_pending));
        }
    }

    /// <summary>Restores the pending bits.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        lock (_lock)
        {
            for (int i = 0; i < _pending.Length; i++)
            {
                int vectors = Math.Min(64, Description.Vectors - (64 * i));
                if (!state.TryRead(out ulong pending) || (vectors < 64 && pending >> vectors != 0))
                    return false;
                _pending[i] = pending;
            }

            return true;
        }
    }

    internal void Reset()
    {
        lock (_lock)
        {
            Array.Clear(_pending);
            Array.Clear(_entries);
            for (int i = 3; i < _entries.Length; i += 4)
                _entries[i] = 1;
        }
    }

    private bool IsMasked(int vector) => (_entries[4 * vector + 3] & 1) != 0;
}
