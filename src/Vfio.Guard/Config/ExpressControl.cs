using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Config;

/// <summary>Device Control of the PCI Express capability: function level reset, and the size of read requests.</summary>
/// <remarks>PCI Express Base 6.0, section 7.5.3.4.</remarks>
internal sealed class ExpressControl(FunctionLayout layout, ConfigShadow shadow, IResetTarget target) : ConfigRegisterHandler
{
    private const int FlrBit = 15, FlrCapableBit = 28;
    private const uint LargestCode = 5;
    private readonly int _control = layout.Express + 8;

    internal override IEnumerable<int> Offsets => [_control];

    private bool CanReset => layout.Space.Read32(layout.Express + 4).Get(FlrCapableBit) && layout.Function.ResetMethods.Count > 0;

    internal override void Reset(bool byUser)
    {
    }

    internal override void AfterWrite(int offset, int width)
    {
        if (!Covers(offset, width, _control + 1))
            return;
        uint control = shadow.Read(_control, 2);
        bool asksReset = control.Get(FlrBit);
        shadow.Write(_control, 2, control.With(FlrBit, FlrBit, 0));
        PassReadRequestSize(control.Get(14, 12));
        if (asksReset && CanReset)
            target.ResetByUser(layout.ResetMethodFor(ResetMethod.Flr));
    }

    /// <remarks>Read requests smaller than the payload size of the path are legal, but some completers handle them badly;
    /// codes above 5 (4096 bytes) are reserved.</remarks>
    private void PassReadRequestSize(uint wished)
    {
        uint now = layout.Function.ReadConfig(_control, 2);
        uint code = Math.Max(Math.Min(wished, LargestCode), now.Get(7, 5));
        if (code != now.Get(14, 12))
            layout.Function.WriteConfig(_control, 2, now.With(14, 12, code));
    }
}
