namespace Vfio.Guard.Config;

/// <summary>The vendor and device id of a virtual function, at the offsets where other functions have them.</summary>
/// <remarks>SR-IOV 1.1, section 3.4.1.1: a virtual function's own registers read as all ones.</remarks>
internal sealed class VirtualIds(VirtualFunctionIds ids, ConfigShadow shadow) : ConfigRegisterHandler
{
    internal override IEnumerable<int> Offsets => [0x00];

    internal override void Reset(bool byUser)
    {
        shadow.Write(0x00, 2, ids.Vendor);
        shadow.Write(0x02, 2, ids.Device);
    }

    internal override void AfterWrite(int offset, int width)
    {
    }
}
