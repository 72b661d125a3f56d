using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Pci;

namespace Vfio.Guard.Migration;

/// <summary>The properties that two functions must share for one to take the other's state: ids, regions, capabilities and
/// vectors.</summary>
/// <remarks>The bytes have all of them, and are compared as bytes; they start with a mark and the version of the format.</remarks>
internal static class FunctionIdentity
{
    private const ulong Mark = 0x6574_6174_536f_6966; // "fioState"
    private const uint Version = 2;

    /// <summary>The bytes for a function.</summary>
    internal static byte[] Of(FunctionLayout layout)
    {
        StateWriter to = new();
        to.Write(Mark);
        to.Write(Version);
        to.Write((uint)layout.Space.Length);
        to.Write(layout.Function.VirtualIds is { } ids ? ids.Vendor | (uint)ids.Device << 16 : layout.Space.Read32(0x00));
        to.Write(layout.Space.Read32(0x08));
        to.Write(layout.Space.Read32(0x2c));
        for (uint i = 0; i <= RegionIndex.Rom.Value; i++)
        {
            RegionIndex region = new(i);
            to.Write(layout.Function.GetLength(region));
            to.Write((uint)((layout.IsIo(region) ? 1 : 0) | (HasMemory(layout, region) ? 2 : 0)));
        }

        to.Write((uint)layout.Capabilities.Items.Count);
        foreach (Capability item in layout.Capabilities.Items)
        {
            to.Write((uint)item.Offset);
            to.Write(item.Id | (item.IsExtended ? 1u << 31 : 0));
        }

        to.Write((uint)layout.MsiVectors);
        to.Write((uint)(layout.MsixTable?.Vectors ?? 0));
        return to.Written.ToArray();
    }

    /// <summary>Whether a region's memory goes with the state.</summary>
    internal static bool HasMemory(FunctionLayout layout, RegionIndex region) =>
        region.IsBar && layout.Function.GetMemory(region) is not null;
}
