using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The extended capabilities of an 82576 that has virtual functions, at the places where it has them.</summary>
/// <remarks>82576 Datasheet, section 9.6: error reporting at 0x100, serial number at 0x140, ARI at 0x150, SR-IOV at 0x160. Nothing of them can
/// be written: the virtual functions are enabled, by the owner. PCI Express Base 6.0, section 9.3.3.</remarks>
internal static class IgbCapabilities
{
    private const int HeaderBytes = 4;
    private const ushort ErrorReporting = 0x01, SerialNumber = 0x03, Ari = 0x0e, SrIov = 0x10;

    /// <summary>Makes them.</summary>
    /// <param name="address">The station's address: 6 bytes, of which the serial number is made.</param>
    /// <param name="virtualFunctions">How many virtual functions there are.</param>
    internal static IReadOnlyList<CapabilityDescription> Of(ReadOnlySpan<byte> address, int virtualFunctions) =>
    [
        new(ErrorReporting, new byte[0x40 - HeaderBytes]) { IsExtended = true },
        new(SerialNumber, SerialNumberOf(address)) { IsExtended = true },
        new(Ari, new byte[0x10 - HeaderBytes]) { IsExtended = true },
        new(SrIov, SrIovOf((ushort)virtualFunctions)) { IsExtended = true },
    ];

    // An EUI-64 of the address, its last octet first.
    private static byte[] SerialNumberOf(ReadOnlySpan<byte> address) =>
        [address[5], address[4], address[3], 0xff, 0xff, address[2], address[1], address[0], 0, 0, 0, 0];

    private static byte[] SrIovOf(ushort count)
    {
        // VF Enable and VF Memory Space Enable.
        const ushort Enabled = 0x0009;
        const ushort FirstOffset = 0x180, Stride = 2;

        // 4, 8, 64 and 256 KiB, 1 and 4 MiB; 4 KiB is in use.
        const uint PageSizes = 0x553, PageSize = 1;

        // 64 bits, as the function's own BARs.
        const uint Wide = 4;
        byte[] body = new byte[0x40 - HeaderBytes];
        Put16(0x08, Enabled);
        Put16(0x0c, count);
        Put16(0x0e, count);
        Put16(0x10, count);
        Put16(0x14, FirstOffset);
        Put16(0x16, Stride);
        Put16(0x1a, IgbVirtualFunction.Id);
        Put32(0x1c, PageSizes);
        Put32(0x20, PageSize);
        Put32(0x24, Wide);
        return body;

        void Put16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(body.AsSpan(at - HeaderBytes), value);

        void Put32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(at - HeaderBytes), value);
    }
}
