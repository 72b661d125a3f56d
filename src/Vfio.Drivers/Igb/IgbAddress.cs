using Vfio.Drivers.Ethernet;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Igb;

/// <summary>A station's address as two dwords, in RAL and RAH and in messages: the octet that is sent first is lowest.</summary>
internal static class IgbAddress
{
    /// <summary>The first four octets.</summary>
    internal static uint Low(MacAddress address) => Dword(address, 0, 4);

    /// <summary>The last two octets, in bits 15:0.</summary>
    internal static uint High(MacAddress address) => Dword(address, 4, 2);

    /// <summary>The address; bits 31:16 of the second dword are something else.</summary>
    internal static MacAddress Read(uint low, uint high)
    {
        Span<byte> octets = stackalloc byte[MacAddress.Bytes];
        for (int i = 0; i < 4; i++)
            octets[i] = (byte)low.Get((8 * i) + 7, 8 * i);
        for (int i = 0; i < 2; i++)
            octets[4 + i] = (byte)high.Get((8 * i) + 7, 8 * i);
        return MacAddress.Read(octets);
    }

    private static uint Dword(MacAddress address, int first, int count)
    {
        Span<byte> octets = stackalloc byte[MacAddress.Bytes];
        address.Write(octets);
        uint value = 0;
        for (int i = 0; i < count; i++)
            value = value.With((8 * i) + 7, 8 * i, octets[first + i]);
        return value;
    }
}
