using System.Buffers.Binary;
using System.Numerics;
using Vfio.Pci;

namespace Vfio.Guard;

/// <summary>The real MSI and MSI-X registers: programmed by the guard alone, to send what the bound eventfds need.</summary>
/// <remarks>Called in the function's turn. Addresses are what a system would give; the slot takes messages by their number.</remarks>
internal sealed class MessageHardware(FunctionLayout layout, GuardedInterrupts interrupts)
{
    private const uint Address = 0xfee0_0000, FirstData = 0x4000;
    private readonly IPciFunction _function = layout.Function;

    /// <summary>Makes the hardware send what is bound now, and nothing else.</summary>
    internal void Program() => Program(0, int.MaxValue);

    /// <summary>As <see cref="Program()"/>, where only some vectors have changed.</summary>
    internal void Program(int start, int count)
    {
        if (layout.Msi != 0)
            ProgramMsi(interrupts.BoundCount(InterruptIndex.Msi));
        if (layout.MsixTable is { } table)
            ProgramMsix(table, interrupts.BoundCount(InterruptIndex.Msix), start, Math.Min(count, table.Vectors - start));
    }

    private void ProgramMsi(int bound)
    {
        int control = layout.Msi + 2;
        uint now = _function.ReadConfig(control, 2);
        uint log = bound == 0 ? 0 : (uint)BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)bound));
        if (bound != 0)
        {
            // Disabled while it changes: a message in between would go half to the old place.
            _function.WriteConfig(control, 2, now.With(0, 0, 0));
            _function.WriteConfig(layout.Msi + 4, 4, Address);
            if (layout.MsiData > layout.Msi + 8)
                _function.WriteConfig(layout.Msi + 8, 4, 0);
            _function.WriteConfig(layout.MsiData, 2, FirstData);
            if (layout.MsiMasks != 0)
                _function.WriteConfig(layout.MsiMasks, 4, 0);
        }

        uint wanted = now.With(0, 0, bound == 0 ? 0u : 1).With(6, 4, log);
        if (wanted != now || bound != 0)
            _function.WriteConfig(control, 2, wanted);
    }

    private void ProgramMsix(MsixDescription table, int bound, int start, int count)
    {
        int control = layout.Msix + 2;
        uint now = _function.ReadConfig(control, 2);
        uint wanted = now.With(15, 15, bound == 0 ? 0u : 1).With(14, 14, 0);
        Span<byte> entry = stackalloc byte[16];
        bool isUsed = bound != 0 || now.Get(15);
        for (int vector = start; isUsed && vector < start + count; vector++)
        {
            bool isBound = interrupts.IsBound(InterruptIndex.Msix, vector);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, isBound ? Address : 0);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], isBound ? FirstData + (uint)vector : 0);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], isBound ? 0u : 1);
            WriteEntry(table, vector, entry);
        }

        if (wanted != now)
            _function.WriteConfig(control, 2, wanted);
    }

    /// <remarks>By 4 bytes, the mask last: an entry is complete before it may send.</remarks>
    private void WriteEntry(MsixDescription table, int vector, ReadOnlySpan<byte> entry)
    {
        RegionIndex bar = RegionIndex.Bar(table.Bar);
        for (int i = 0; i < entry.Length; i += 4)
            _function.WriteRegion(bar, table.TableOffset + (16 * (ulong)vector) + (ulong)i, entry.Slice(i, 4));
    }
}
