using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.User.Client;

/// <summary>The properties of a device that must be the same after its server was restarted, because a driver relies on them.</summary>
internal sealed class DeviceIdentity
{
    private const int HeadBytes = 16;
    private readonly DeviceInfo _info;
    private readonly RegionInfo[] _regions;
    private readonly InterruptInfo[] _interrupts;
    private readonly byte[] _head = new byte[HeadBytes];

    /// <summary>Queries a server; guarded by the client's lock.</summary>
    internal DeviceIdentity(ServerConnection server)
    {
        _info = server.Info;
        _regions = [.. Enumerable.Range(0, _info.RegionCount).Select(i => server.GetRegion(new RegionIndex((uint)i)))];
        _interrupts = [.. Enumerable.Range(0, _info.InterruptCount).Select(i => server.GetInterrupt(new InterruptIndex((uint)i)))];
        bool isPci = _info.Flags.HasFlag(DeviceFlags.Pci) && _regions.Length > (int)RegionIndex.Config.Value;
        if (isPci && _regions[RegionIndex.Config.Value].Length >= HeadBytes)
            server.ReadRegion(RegionIndex.Config, 0, _head);
    }

    /// <summary>The first difference, as a text; null when there is none.</summary>
    internal string? FindDifference(DeviceIdentity other)
    {
        if (_info != other._info)
            return $"{other._info} in place of {_info}";
        for (int i = 0; i < _regions.Length; i++)
        {
            if (!IsSame(_regions[i], other._regions[i]))
                return $"{_regions[i].Index} differs";
            if (i < _interrupts.Length && _interrupts[i] != other._interrupts[i])
                return $"{_interrupts[i].Index} differs";
        }

        // Vendor and device id, then revision and class (PCI Local Bus 3.0, section 6.1); Command and Status may differ.
        return _head.AsSpan(0, 4).SequenceEqual(other._head.AsSpan(0, 4)) && _head.AsSpan(8, 4).SequenceEqual(other._head.AsSpan(8, 4))
            ? null
            : $"ids {Blittable.Read<uint>(other._head):x8} in place of {Blittable.Read<uint>(_head):x8}";
    }

    private static bool IsSame(in RegionInfo one, in RegionInfo other) =>
        one.Length == other.Length && one.Flags == other.Flags && one.FileOffset == other.FileOffset
        && one.MmapAreas.SequenceEqual(other.MmapAreas);
}
