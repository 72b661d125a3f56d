using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Config;
using Vfio.Pci.Decoding;

namespace Vfio.Pci.Capabilities;

/// <summary>One kind of capability: its id, its name, and its registers. The same table protects, decodes, draws and documents.</summary>
/// <param name="Id">The id of the PCI Code and ID Assignment specification.</param>
/// <param name="IsExtended">Whether it lives in the extended list, from 0x100 on.</param>
/// <param name="Name">Its name in that specification.</param>
/// <param name="Layout">The registers of one instance after its header, offsets from its start, in ascending order. Registers that only
/// some versions or sizes of the structure have are there only when this instance has them.</param>
internal sealed record CapabilityTable(ushort Id, bool IsExtended, string Name, Func<CapabilityView, CapabilityLayout> Layout)
{
    /// <summary>Puts an instance into the words of <c>lspci</c>; null where each register is a line of its own.</summary>
    internal Action<CapabilityText>? Describe { get; init; }

    /// <summary>Whether it is left out of the user's list, because it cannot work for a user: what it needs is its owner's to set up.</summary>
    internal bool IsHidden { get; init; }
}

/// <summary>The registers of one instance of a capability.</summary>
/// <param name="LengthBytes">Size of the structure with its header.</param>
/// <param name="Registers">In ascending order, apart from each other, inside <paramref name="LengthBytes"/>.</param>
internal sealed record CapabilityLayout(int LengthBytes, IReadOnlyList<Register> Registers)
{
    /// <summary>Of a kind that has a name but no public description.</summary>
    internal static readonly CapabilityLayout Unknown = new(0, []);
}

/// <summary>One instance of a capability in a config space: what a layout may look at.</summary>
/// <param name="Space">The config space.</param>
/// <param name="Offset">Where the capability starts, in bytes.</param>
internal readonly record struct CapabilityView(ConfigSpace Space, int Offset)
{
    /// <summary>Version of an extended capability; its header's bits 19:16.</summary>
    public int Version => (int)Read(0, 4).Get(19, 16);

    /// <summary>Device/Port Type of the function's PCI Express capability.</summary>
    public PortType PortType => ExpressFlags() is { } flags ? (PortType)flags.Get(7, 4) : PortType.None;

    /// <summary>Reads 1, 2 or 4 bytes at an offset from the capability's start.</summary>
    public uint Read(int offset, int bytes) => Space.Read(Offset + offset, bytes);

    private uint? ExpressFlags() => CapabilityWalk.FindStandard(Space, ExpressTable.Id) is { } start ? Space.Read16(start + 2) : null;
}
