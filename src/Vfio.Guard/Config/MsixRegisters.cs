using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Config;

/// <summary>The user's MSI-X Message Control. Function Mask holds all vectors back. Enable shows whether vectors are in use, also after
/// a reset, until the user writes it; it has no effect, since vectors fire by the eventfds.</summary>
/// <remarks>PCI Local Bus 3.0, section 6.8.2.3.</remarks>
internal sealed class MsixRegisters(FunctionLayout layout, ConfigShadow shadow, GuardedInterrupts interrupts) : ConfigRegisterHandler
{
    private const int MaskBit = 14, EnableBit = 15;
    private readonly int _control = layout.Msix + 2;

    internal override IEnumerable<int> Offsets => [layout.Msix];

    internal override void Reset(bool byUser)
    {
        shadow.Write(_control, 2, shadow.Read(_control, 2).With(MaskBit, MaskBit, 0));
        Show();
        interrupts.SetMsixFunctionMask(false);
    }

    internal override void AfterWrite(int offset, int width) => interrupts.SetMsixFunctionMask(shadow.ReadBit(_control, MaskBit));

    /// <summary>Shows whether vectors are in use.</summary>
    internal void Show()
    {
        uint enable = interrupts.CountInUse(InterruptIndex.Msix) == 0 ? 0u : 1;
        shadow.Write(_control, 2, shadow.Read(_control, 2).With(EnableBit, EnableBit, enable));
    }
}
