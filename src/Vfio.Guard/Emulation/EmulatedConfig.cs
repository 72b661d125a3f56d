using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Emulation;

/// <summary>Config space of an emulated function: writable bits, bits that a written 1 clears, and bits that only the function
/// changes.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class EmulatedConfig
{
    private readonly Lock _lock = new();
    private readonly byte[] _values;
    private readonly byte[] _reset;
    private readonly byte[] _writable;
    private readonly byte[] _clearable;

    internal EmulatedConfig(int length)
    {
        _values = new byte[length];
        _reset = new byte[length];
        _writable = new byte[length];
        _clearable = new byte[length];
    }

    internal int Length => _values.Length;

    /// <summary>Defines a register: its value after reset, and which of its bits can be written or cleared.</summary>
    internal void Define(int offset, int bytes, uint reset, uint writable = 0, uint clearable = 0)
    {
        for (int i = 0; i < bytes; i++)
        {
            _reset[offset + i] = _values[offset + i] = (byte)(reset >> (8 * i));
            _writable[offset + i] = (byte)(writable >> (8 * i));
            _clearable[offset + i] = (byte)(clearable >> (8 * i));
        }
    }

    internal uint Read(int offset, int bytes)
    {
        lock (_lock)
        {
            uint value = 0;
            for (int i = 0; i < bytes; i++)
                value |= (uint)_values[offset + i] << (8 * i);
            return value;
        }
    }

    /// <summary>Reads one bit of a register of 16 bits or less, without a lock.</summary>
    internal bool ReadBit(int offset, int bit) => ((uint)Volatile.Read(ref _values[offset + (bit >> 3)])).Get(bit & 7);

    /// <summary>Writes as the bus does: the masks apply.</summary>
    internal void Write(int offset, int bytes, uint value)
    {
        lock (_lock)
        {
            for (int i = 0; i < bytes; i++)
            {
                int at = offset + i;
                byte written = (byte)(value >> (8 * i));
                int kept = _values[at] & ~_writable[at] & ~(written & _clearable[at]);
                _values[at] = (byte)(kept | (written & _writable[at]));
            }
        }
    }

    /// <summary>Sets and clears bits as the function itself does: the masks do not apply.</summary>
    internal void Change(int offset, int bytes, uint set, uint clear)
    {
        lock (_lock)
        {
            for (int i = 0; i < bytes; i++)
                _values[offset + i] = (byte)((_values[offset + i] & ~(byte)(clear >> (8 * i))) | (byte)(set >> (8 * i)));
        }
    }

    /// <summary>Saves the status bits. The guard carries the others, or they are fixed.</summary>
    internal void Save(StateWriter state)
    {
        lock (_lock)
        {
            for (int i = 0; i < Length; i++)
                state.Write((byte)(_values[i] & _clearable[i]));
        }
    }

    /// <summary>Restores the status bits.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        if (!state.TryRead(Length, out ReadOnlySpan<byte> saved))
            return false;
        lock (_lock)
        {
            for (int i = 0; i < Length; i++)
                _values[i] = (byte)((_values[i] & ~_clearable[i]) | (saved[i] & _clearable[i]));
        }

        return true;
    }

    /// <summary>Restores every register to its value after power-on.</summary>
    internal void Reset()
    {
        lock (_lock)
        {
            _reset.CopyTo(_values, 0);
        }
    }
}
