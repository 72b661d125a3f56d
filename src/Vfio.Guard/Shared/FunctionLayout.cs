using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Emulation;
using Vfio.Guard.Interrupts;
using Vfio.Pci;
using Vfio.Pci.Config;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Guard.Shared;

/// <summary>The guard's knowledge of a function's config space: read once, when the function is attached.</summary>
internal sealed class FunctionLayout
{
    private const ushort PowerManagementId = 0x01, MsiId = 0x05, ExpressId = 0x10, AdvancedFeaturesId = 0x13;

    // One bit for each BAR.
    private readonly uint _ioBars;

    internal FunctionLayout(IPciFunction function)
    {
        Function = function;
        Space = Read(function);
        if (Space.HeaderType != 0)
            throw new VfioException("assigning", function.Name, Errno.InvalidArgument,
                $"header type {Space.HeaderType}: bridges are not assigned");
        Capabilities = CapabilityList.Read(Space);
        Rules = new ConfigRules(Space, Capabilities);
        Known = new KnownRegisters(Space, Capabilities);
        IsVirtual = function.VirtualIds is not null;
        PowerManagement = OffsetOf(PowerManagementId);
        Msi = OffsetOf(MsiId);
        Express = OffsetOf(ExpressId);
        AdvancedFeatures = OffsetOf(AdvancedFeaturesId);
        Msix = OffsetOf(MsixLocation.CapabilityId);
        MsixTable = FindMsixTable();
        for (int bar = 0; bar < 6; bar++)
            _ioBars |= (Space.Read32(0x10 + (4 * bar)) & 1) << bar;
        VirtualOffsets = [.. Enumerable.Range(0, Rules.Length / 4).Select(i => 4 * i).Where(HasVirtualBits)];
    }

    internal IPciFunction Function { get; }

    /// <summary>Config space as the owner left it.</summary>
    internal ConfigSpace Space { get; }

    internal CapabilityList Capabilities { get; }

    internal ConfigRules Rules { get; }

    internal KnownRegisters Known { get; }

    /// <summary>Whether it is a virtual function: no ids in its config space, and memory decoding that cannot be turned off.</summary>
    internal bool IsVirtual { get; }

    /// <summary>Where each capability starts; 0 when it is absent.</summary>
    internal int PowerManagement { get; }

    internal int Msi { get; }

    internal int Express { get; }

    internal int AdvancedFeatures { get; }

    internal int Msix { get; }

    /// <summary>Where the MSI-X table and pending bits are; null when there are none, or they are not inside their BARs.</summary>
    internal MsixDescription? MsixTable { get; }

    /// <summary>Sizes of BAR0 to BAR5.</summary>
    internal ulong[] BarBytes => [.. Enumerable.Range(0, 6).Select(bar => Function.GetLength(RegionIndex.Bar(bar)))];

    /// <summary>The dwords of config space with bits that a shadow keeps; no permit changes them.</summary>
    internal int[] VirtualOffsets { get; }

    internal bool HasPin => Space.Read8(0x3d) is >= 1 and <= 4;

    /// <summary>How many MSI vectors the function has.</summary>
    internal int MsiVectors => Msi == 0 ? 0 : 1 << (int)Math.Min(5, ((uint)Space.Read16(Msi + 2)).Get(3, 1));

    /// <summary>Offset of the MSI data register, which depends on whether addresses have 64 bits.</summary>
    internal int MsiData => Msi + ((Space.Read16(Msi + 2) & 0x80) != 0 ? 0x0c : 0x08);

    /// <summary>Offset of the MSI mask bits; 0 when there are none. The pending bits follow them.</summary>
    internal int MsiMasks => Msi != 0 && (Space.Read16(Msi + 2) & 0x100) != 0 ? MsiData + 4 : 0;

    /// <summary>Whether the return from D3hot resets the function, and the function can make that reset.</summary>
    internal bool ResetsInD3Hot =>
        PowerManagement != 0 && (Space.Read16(PowerManagement + 4) & 8) == 0 && Function.ResetMethods.Contains(ResetMethod.PowerManagement);

    /// <summary>How a reset is made that the user asks for in one way: that way, or the first that the function has.</summary>
    internal ResetMethod ResetMethodFor(ResetMethod asked) =>
        Function.ResetMethods.Contains(asked) ? asked : Function.ResetMethods[0];

    /// <summary>Whether the type bits of a BAR say I/O.</summary>
    internal bool IsIo(RegionIndex region) => region.IsBar && (_ioBars >> (int)region.Value & 1) != 0;

    /// <summary>Whether a BAR is the lower half of a 64-bit BAR.</summary>
    internal bool IsWide(int bar) => (Space.Read32(0x10 + (4 * bar)) & 7) == 4;

    private bool HasVirtualBits(int offset) =>
        (Rules.Mask(BitRule.Virtual, offset, 4) | Rules.Mask(BitRule.VirtualFixed, offset, 4)) != 0;

    private static ConfigSpace Read(IPciFunction function)
    {
        byte[] bytes = new byte[function.ConfigLength];
        for (int offset = 0; offset < bytes.Length; offset += 4)
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(offset), function.ReadConfig(offset, 4));
        return new ConfigSpace(bytes);
    }

    /// <remarks>A capability that overlaps another is ignored: a write could mean either.</remarks>
    private int OffsetOf(ushort id) =>
        Capabilities.Find(id, isExtended: false) is { } found && Rules.IsWhole(found) ? found.Offset : 0;

    private MsixDescription? FindMsixTable()
    {
        if (Msix == 0)
            return null;
        MsixLocation place = MsixLocation.Read(Space, Msix);
        return place.Fits(BarBytes)
            ? new MsixDescription(place.Vectors, place.TableBar, place.TableOffset, place.PendingOffset) { PendingBar = place.PendingBar }
            : null;
    }
}
