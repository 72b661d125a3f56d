using System.Numerics;
using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Interrupts;

/// <summary>The hardware's MSI and MSI-X registers. The guard alone programs them, for the vectors in use.</summary>
/// <remarks>Called under the function's lock. Addresses are those that a system would use; the slot takes messages by their
/// number.</remarks>
internal sealed class MessageHardware(FunctionLayout layout, GuardedInterrupts interrupts)
{
    private const uint Address = 0xfee0_0000, FirstData = 0x4000;
    private readonly IPciFunction _function = layout.Function;

    /// <summary>Programs the hardware to send the vectors in use, and no others.</summary>
    internal void Program() => Program(0, int.MaxValue);

    /// <summary>As <see cref="Program()"/>, where only some vectors have changed.</summary>
    internal void Program(int start, int count)
    {
        if (layout.Msi != 0)
            ProgramMsi(interrupts.CountInUse(InterruptIndex.Msi));
        if (layout.MsixTable is { } table)
            ProgramMsix(table, interrupts.CountInUse(InterruptIndex.Msix), start, Math.Min(count, table.Vectors - start));
    }

    /// <summary>As <see cref="Program(int, int)"/>, after a failure: further failures are ignored.</summary>
    internal void TryProgram(int start, int count)
    {
        try
        {
            Program(start, count);
        }
        catch (Exception)
        {
            // The caller receives the first failure.
        }
    }

    /// <remarks>MSI stays enabled while vectors change: a function whose MSI is off uses its pin.</remarks>
    private void ProgramMsi(int inUse)
    {
        int control = layout.Msi + 2;
        uint now = _function.ReadConfig(control, 2);
        uint log = inUse == 0 ? 0 : (uint)BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)inUse));
        if (inUse != 0 && !(now.Get(0) && IsAddressed()))
        {
            // Disabled while the address changes: a message in between would go to a mix of old and new address.
            if (now.Get(0))
                _function.WriteConfig(control, 2, now.With(0, 0, 0));
            _function.WriteConfig(layout.Msi + 4, 4, Address);
            if (HasUpperAddress)
                _function.WriteConfig(layout.Msi + 8, 4, 0);
            _function.WriteConfig(layout.MsiData, 2, FirstData);
            if (layout.MsiMasks != 0)
                _function.WriteConfig(layout.MsiMasks, 4, 0);
        }

        uint wanted = now.With(0, 0, inUse == 0 ? 0u : 1).With(6, 4, log);
        if (wanted != _function.ReadConfig(control, 2))
            _function.WriteConfig(control, 2, wanted);
    }

    private bool HasUpperAddress => layout.MsiData > layout.Msi + 8;

    private bool IsAddressed() => _function.ReadConfig(layout.Msi + 4, 4) == Address
        && (!HasUpperAddress || _function.ReadConfig(layout.Msi + 8, 4) == 0)
        && _function.ReadConfig(layout.MsiData, 2) == FirstData
        && (layout.MsiMasks == 0 || _function.ReadConfig(layout.MsiMasks, 4) == 0);

    private void ProgramMsix(MsixDescription table, int inUse, int start, int count)
    {
        int control = layout.Msix + 2;
        uint now = _function.ReadConfig(control, 2);
        uint wanted = now.With(15, 15, inUse == 0 ? 0u : 1).With(14, 14, 0);
        bool isUsed = inUse != 0 || now.Get(15);
        for (int vector = start; isUsed && vector < start + count; vector++)
            WriteEntry(table, vector, interrupts.IsBound(InterruptIndex.Msix, vector));
        if (wanted != now)
            _function.WriteConfig(control, 2, wanted);
    }

    /// <remarks>By dwords. An entry is complete before it is unmasked, and masked before it is cleared.</remarks>
    private void WriteEntry(MsixDescription table, int vector, bool isBound)
    {
        if (!isBound)
            Write(3, 1);
        Write(0, isBound ? Address : 0);
        Write(1, 0);
        Write(2, isBound ? FirstData + (uint)vector : 0);
        if (isBound)
            Write(3, 0);

        void Write(int dword, uint value) => _function.WriteRegion(
            RegionIndex.Bar(table.Bar),
            table.TableOffset + (16 * (ulong)vector) + (4 * (ulong)dword),
            Blittable.AsBytes(ref value));
    }
}
