using Vfio.Guard.Config;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Hardware;

/// <summary>Finds the writes to config space by which a user resets the function. Linux makes the reset before the write returns.</summary>
/// <remarks>PCI Express Base 6.0, 7.5.3.4 (FLR in Device Control); PCI ECN "Advanced Capabilities for Conventional PCI" (AF Control); PCI
/// Bus Power Management Interface 1.2, 5.4 (the return from D3hot). Not for several threads.</remarks>
/// <param name="capabilities">The function's.</param>
/// <param name="below">Its config space. Nothing is read before a register here is written.</param>
internal sealed class ConfigResets(CapabilityList capabilities, IConfigAccess below)
{
    private const ushort PowerManagementId = 0x01, ExpressId = 0x10, AdvancedFeaturesId = 0x13;
    private const uint StateMask = 3, D3Hot = 3, NoSoftReset = 8;

    // The byte with the bit that starts a reset, the bit, and the byte of the capability that says whether there is one; 0 without it.
    private readonly (int Control, uint Bit, int Capable, uint CapableBit)[] _bits =
    [
        (At(capabilities, ExpressId, 9), 0x80, At(capabilities, ExpressId, 7), 0x10),
        (At(capabilities, AdvancedFeaturesId, 4), 0x01, At(capabilities, AdvancedFeaturesId, 3), 0x02),
    ];

    private readonly int _power = At(capabilities, PowerManagementId, 4);

    /// <summary>Whether the function has come back from D3hot, after <see cref="Wakes"/> was true.</summary>
    internal bool HasWoken => (below.Read(_power, 2) & StateMask) != D3Hot;

    /// <summary>Whether a write asks for a reset.</summary>
    /// <param name="offset">Where it starts.</param>
    /// <param name="source">Its bytes.</param>
    internal bool IsAsked(int offset, ReadOnlySpan<byte> source)
    {
        foreach ((int control, uint bit, int capable, uint capableBit) in _bits)
        {
            if (control != 0 && control >= offset && control - offset < source.Length && (source[control - offset] & bit) != 0
                && (below.Read(capable, 1) & capableBit) != 0)
                return true;
        }

        return false;
    }

    /// <summary>Whether a write may bring the function back from D3hot, and that would reset it; to ask before the write.</summary>
    /// <param name="offset">Where it starts.</param>
    /// <param name="length">How many bytes it has.</param>
    internal bool Wakes(int offset, int length) => _power != 0 && _power >= offset && _power - offset < length
        && (below.Read(_power, 2) & (StateMask | NoSoftReset)) == D3Hot;

    private static int At(CapabilityList capabilities, ushort id, int offset) =>
        capabilities.Find(id, isExtended: false) is { } found ? found.Offset + offset : 0;
}
