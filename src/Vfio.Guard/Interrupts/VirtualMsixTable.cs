using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Interrupts;

/// <summary>The user's MSI-X table and pending bits. Addresses and data are virtual and have no effect; the mask bits hold
/// vectors back, and the pending bits show what is held.</summary>
/// <remarks>PCI Local Bus 3.0, section 6.8.2.</remarks>
internal sealed class VirtualMsixTable(MsixDescription description, GuardedInterrupts interrupts)
{
    private const int EntryBytes = 16, ControlOffset = 12;
    private readonly byte[] _entries = new byte[EntryBytes * description.Vectors];

    internal MsixDescription Description => description;

    internal void Reset() => Array.Clear(_entries);

    /// <summary>Size of the table in bytes.</summary>
    internal int Length => _entries.Length;

    internal void Read(int offset, Span<byte> destination)
    {
        _entries.AsSpan(offset, destination.Length).CopyTo(destination);
        for (int i = 0; i < destination.Length; i++)
        {
            int vector = (offset + i) / EntryBytes;
            if ((offset + i) % EntryBytes == ControlOffset)
                destination[i] = (byte)(interrupts.Masked(InterruptIndex.Msix, vector) & 1);
        }
    }

    internal void Write(int offset, ReadOnlySpan<byte> source)
    {
        for (int i = 0; i < source.Length; i++)
        {
            int at = offset + i;
            if (at % EntryBytes < ControlOffset)
                _entries[at] = at % EntryBytes == 0 ? (byte)(source[i] & ~3) : source[i];
            else if (at % EntryBytes == ControlOffset)
                interrupts.SetMaskedByRegister(InterruptIndex.Msix, at / EntryBytes, (source[i] & 1) != 0);
        }
    }

    internal void ReadPending(int offset, Span<byte> destination)
    {
        for (int i = 0; i < destination.Length; i++)
        {
            ulong bits = interrupts.Pending(InterruptIndex.Msix, (offset + i) / 8 * 64);
            destination[i] = Blittable.AsBytes(ref bits)[(offset + i) % 8];
        }
    }
}
