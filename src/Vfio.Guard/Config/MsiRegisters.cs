using System.Numerics;
using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Config;

/// <summary>The user's MSI capability. Address, data and enable are virtual and have no effect: vectors fire by the eventfds
/// that are bound. The mask bits hold vectors back, and the pending bits show what is held.</summary>
/// <remarks>PCI Local Bus 3.0, section 6.8.1. Enable and the number of messages show what is in use, also after a reset, until the
/// user writes them.</remarks>
internal sealed class MsiRegisters(FunctionLayout layout, ConfigShadow shadow, GuardedInterrupts interrupts) : ConfigRegisterHandler
{
    private const int EnableBit = 0;
    private readonly int _control = layout.Msi + 2;
    private readonly int _masks = layout.MsiMasks;
    private readonly uint _all = Bits.Mask(layout.MsiVectors - 1, 0);

    internal override IEnumerable<int> Offsets => _masks == 0 ? [layout.Msi] : [layout.Msi, _masks, _masks + 4];

    internal override void Reset(bool byUser)
    {
        int end = _masks == 0 ? layout.MsiData + 2 : _masks;
        for (int offset = layout.Msi + 4; offset < end; offset += 2)
            shadow.Write(offset, 2, 0);
        Show();
        if (_masks != 0)
            BeforeRead();
    }

    internal override void BeforeRead()
    {
        if (_masks == 0)
            return;
        shadow.Write(_masks, 4, (uint)interrupts.Masked(InterruptIndex.Msi, 0) & _all);
        shadow.Write(_masks + 4, 4, (uint)interrupts.Pending(InterruptIndex.Msi, 0) & _all);
    }

    internal override void AfterWrite(int offset, int width)
    {
        if (_masks == 0 || (offset & ~3) != _masks)
            return;
        uint masks = shadow.Read(_masks, 4);
        int first = 8 * (offset - _masks);
        for (int vector = first; vector < Math.Min(first + (8 * width), layout.MsiVectors); vector++)
            interrupts.SetMaskedByRegister(InterruptIndex.Msi, vector, masks.Get(vector));
    }

    /// <summary>Shows how many vectors are in use.</summary>
    internal void Show()
    {
        int inUse = interrupts.CountInUse(InterruptIndex.Msi);
        uint log = inUse == 0 ? 0 : (uint)BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)inUse));
        shadow.Write(_control, 2, shadow.Read(_control, 2).With(EnableBit, EnableBit, inUse == 0 ? 0u : 1).With(6, 4, log));
    }
}
