using System.Buffers.Binary;

namespace Vfio.Guard.Interrupts;

/// <content>The state that a migration carries.</content>
internal sealed partial class GuardedInterrupts
{
    private const int InUseBytes = (Msix + 1) * sizeof(ushort);

    /// <summary>Length of what <see cref="Save"/> writes, in bytes.</summary>
    internal int StateLength => _kinds[Intx].Length + _kinds[Msi].Length + _kinds[Msix].Length + InUseBytes;

    /// <summary>Saves which vectors are masked and pending, one byte for each of INTx, MSI and MSI-X, then how many of each kind
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

    /// <summary>Restores what <see cref="Save"/> wrote, and keeps what is pending here. Called while everything is held back.</summary>
    /// <param name="from">What was written.</param>
    /// <param name="withUse">Whether the user moves too, and with it which kind is in use. Otherwise the user here decides that.</param>
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

    /// <summary>Restores which kind is in use, where possible; under the lock.</summary>
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
