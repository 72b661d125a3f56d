using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Guard.Hardware;

/// <summary>The guard's knowledge of an assigned device. Only the header, the heads of the capabilities, and the fields that say how long one
/// is are read for it: registers of the vendor and what lies between capabilities are not touched.</summary>
internal sealed class HardwareLayout
{
    private readonly ConfigRules _tables;

    // For each dword.
    private readonly bool[] _readsThrough;

    internal HardwareLayout(IVfioDevice device, DeviceConfig config)
    {
        if (!device.Info.Flags.HasFlag(DeviceFlags.Pci))
            throw new VfioException("guarding", device.Name, Errno.NoDevice, "it is no PCI function, and has no config space to guard");
        ulong length = device.GetRegion(RegionIndex.Config).Length;
        ConfigSpace space = new(
            length < ConfigSpace.ExtendedLength ? ConfigSpace.ConventionalLength : ConfigSpace.ExtendedLength, at => config.Read(at, 4));
        if (space.HeaderType != 0)
            throw new VfioException("guarding", device.Name, Errno.InvalidArgument, $"header type {space.HeaderType}: bridges are not assigned");
        CapabilityList capabilities = CapabilityList.Read(space);
        _tables = new ConfigRules(space, capabilities);
        Rules = new ConfigRules(space, capabilities);
        Known = new KnownRegisters(space, capabilities);
        for (int offset = 0; offset < Rules.Length; offset += 4)
        {
            // What the tables make a copy is one already below: the kernel's, or the server's.
            Rules.Set(BitRule.PassedThrough, offset, Rules.Mask(BitRule.Virtual, offset, 4));
            if (!Rules.Mended.ContainsKey(offset))
                Rules.Set(BitRule.Fixed, offset, Rules.Mask(BitRule.VirtualFixed, offset, 4));
        }

        Capabilities = capabilities;
        _readsThrough = new bool[Rules.Length / 4];
        for (int offset = 0; offset < Rules.Length; offset += 4)
            NoteReads(offset);
        MsixTable = FindMsixTable(device, space, capabilities, _tables);
        IsTableLost = MsixTable is null && capabilities.Find(MsixLocation.CapabilityId, isExtended: false) is not null;
    }

    /// <summary>Its capabilities.</summary>
    internal CapabilityList Capabilities { get; }

    /// <summary>The rule of each bit. A bit of which something below keeps a copy is passed to it.</summary>
    internal ConfigRules Rules { get; }

    internal KnownRegisters Known { get; }

    /// <summary>Where the MSI-X table is; null when there is none, or its place is not in a BAR.</summary>
    internal MsixLocation? MsixTable { get; }

    /// <summary>Whether there is an MSI-X table, and nobody knows where: it may be in any page.</summary>
    internal bool IsTableLost { get; }

    /// <summary>Lets the user access a dword.</summary>
    /// <exception cref="ArgumentException">See <see cref="ConfigRules.Permit"/>; the rules are as before.</exception>
    internal void Permit(ConfigPermit permit)
    {
        // The tables know which bits are the guard's own.
        _tables.Permit(permit.Offset, permit.ReadBits, permit.WriteBits);
        Rules.Permit(permit.Offset, permit.ReadBits, permit.WriteBits);
        NoteReads(permit.Offset);
    }

    /// <summary>Whether a read of 1, 2 or 4 bytes, naturally aligned, gives what is below in all its bits.</summary>
    internal bool ReadsThrough(int offset, int width) => IsNatural(offset, width) && _readsThrough[offset / 4];

    /// <summary>Whether a write of 1, 2 or 4 bytes, naturally aligned, may change all its bits.</summary>
    internal bool WritesThrough(int offset, int width) =>
        IsNatural(offset, width) && Rules.Mask(BitRule.PassedThrough, offset, width) == Bits.Mask((8 * width) - 1, 0);

    private static bool IsNatural(int offset, int width) => width is 1 or 2 or 4 && (offset & (width - 1)) == 0;

    private void NoteReads(int offset) => _readsThrough[offset / 4] =
        (Rules.Mask(BitRule.Virtual, offset, 4) | Rules.Mask(BitRule.VirtualFixed, offset, 4) | Rules.Mask(BitRule.Hidden, offset, 4)) == 0;

    private static MsixLocation? FindMsixTable(IVfioDevice device, ConfigSpace space, CapabilityList capabilities, ConfigRules rules)
    {
        if (capabilities.Find(MsixLocation.CapabilityId, isExtended: false) is not { } found || !rules.IsWhole(found))
            return null;
        MsixLocation place = MsixLocation.Read(space, found.Offset);
        ulong[] barBytes = [.. Enumerable.Range(0, 6).Select(bar => device.GetRegion(RegionIndex.Bar(bar)).Length)];
        return place.TableFits(barBytes) ? place : null;
    }
}
