using Vfio.Guard.Function;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Config;

/// <summary>AF Control: function level reset of a conventional function.</summary>
/// <remarks>PCI ECN "Advanced Capabilities for Conventional PCI", 27 July 2006.</remarks>
internal sealed class AdvancedFeaturesControl(FunctionLayout layout, ConfigShadow shadow, IResetTarget target) : ConfigRegisterHandler
{
    private const uint FlrCapable = 2;
    private readonly int _control = layout.AdvancedFeatures + 4;

    internal override IEnumerable<int> Offsets => [_control];

    private bool CanReset => (layout.Space.Read8(layout.AdvancedFeatures + 3) & FlrCapable) != 0 && layout.Function.ResetMethods.Count > 0;

    internal override void Reset(bool byUser)
    {
    }

    internal override void AfterWrite(int offset, int width)
    {
        if (!Covers(offset, width, _control) || !shadow.ReadBit(_control, 0))
            return;
        shadow.Write(_control, 1, shadow.Read(_control, 1) & ~1u);
        if (CanReset)
            target.ResetByUser(layout.ResetMethodFor(ResetMethod.AfFlr));
    }
}
