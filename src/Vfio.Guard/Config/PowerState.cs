using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Config;

/// <summary>PowerState of the Power Management capability as the user sees it, D0 to D3hot. The hardware stays in D0.</summary>
/// <remarks>PCI Bus Power Management Interface 1.2, sections 3.2.4 and 5.4: outside D0 the function answers to config space only, and
/// neither masters the bus nor interrupts. The return from D3hot resets it, unless No_Soft_Reset is set.</remarks>
internal sealed class PowerState(FunctionLayout layout, ConfigShadow shadow, IResetTarget target, GuardedInterrupts interrupts)
    : ConfigRegisterHandler
{
    private const uint D0 = 0, D1 = 1, D2 = 2, D3Hot = 3;
    private readonly int _control = layout.PowerManagement + 4;
    private volatile uint _state;

    /// <summary>Whether the function is in another state than D0. Any thread may read it.</summary>
    internal bool IsAsleep => _state != D0;

    internal override IEnumerable<int> Offsets => [_control];

    internal override void Reset(bool byUser)
    {
        _state = D0;
        interrupts.SetAsleep(false);
        Show();
    }

    internal override void AfterWrite(int offset, int width)
    {
        if (!Covers(offset, width, _control))
            return;
        uint before = _state;
        uint wished = shadow.Read(_control, 1).Get(1, 0);

        // A state that the function does not have is ignored, and so is a change from a deeper state to any but D0.
        if (Has(wished) && (wished == D0 || wished >= before))
            _state = wished;
        Show();
        if (before == D3Hot && _state == D0 && layout.ResetsInD3Hot)
            target.ResetByUser(ResetMethod.PowerManagement);

        // Last, so that interrupts that the reset drops are not delivered before it.
        interrupts.SetAsleep(IsAsleep);
    }

    private bool Has(uint state)
    {
        uint capabilities = layout.Space.Read16(layout.PowerManagement + 2);
        return state switch
        {
            D1 => capabilities.Get(9),
            D2 => capabilities.Get(10),
            _ => true,
        };
    }

    private void Show() => shadow.Write(_control, 1, shadow.Read(_control, 1).With(1, 0, _state));
}
