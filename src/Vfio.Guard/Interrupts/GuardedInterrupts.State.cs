using System.Buffers.Binary;

namespace Vfio.Guard.Interrupts;

/// <content>What goes along when the device moves.</content>
internal sealed partial class GuardedInterrupts
{
    private const int InUseBytes = (Msix + 1) * sizeof(ushort);

    /// <summary>How long <see cref="Save"/> is, in bytes.</summary>
    internal int StateLength => _kinds[Intx].Length + _kinds[Msi].Length + _kinds[Msix].Length + InUseBytes;

    /// <summary>Writes down which vectors are masked and pending, a byte each of INTx, MSI and MSI-X; and after them how many of each kind
    /// are in use, 2 bytes each.</summary>
    internal void Save(Span<byte> to)
    {
        lock (_lock)
        {
            int at = 0;
            for (int kind = Intx; kind <= Msix; kind++)
            {
                foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
                    to[at++] = vector.State;
            }

            for (int kind = Intx; kind <= Msix; kind++, at += sizeof(ushort))
                BinaryPrimitives.WriteUInt16LittleEndian(to[at..], (ushort)_inUse[kind]);
        }
    }

    /// <summary>Takes over what <see cref="Save"/> wrote, beside what is pending here; while everything is held back.</summary>
    /// <param name="from">What was written.</param>
    /// <param name="withUse">Whether the user goes along, and with it which kind is in use. Else it is for the user here to say.</param>
    internal void Restore(ReadOnlySpan<byte> from, bool withUse)
    {
        lock (_lock)
        {
            if (withUse)
                RestoreUse(from[^InUseBytes..]);
            for (int kind = Intx, at = 0; kind <= Msix; kind++)
            {
                foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
                {
                    bool wasPending = vector.IsPending;
                    vector.State = from[at++];
                    vector.IsPending |= wasPending;
                }
            }
        }
    }

    /// <summary>Takes over which kind is in use, where that can be; inside the lock.</summary>
    private void RestoreUse(ReadOnlySpan<byte> from)
    {
        for (int kind = Intx; kind <= Msix; kind++, from = from[sizeof(ushort)..])
        {
            int count = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(from), _kinds[kind].Length);
            if (InUse() is null || InUse() == new InterruptIndex((uint)kind))
                _inUse[kind] = Math.Max(_inUse[kind], count);
        }
    }
}
