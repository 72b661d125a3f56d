using System.Runtime.InteropServices;

namespace Vfio.Drivers.Igb;

/// <summary>A descriptor, transmit or receive, as the driver writes it: 16 bytes.</summary>
/// <remarks>82576 Datasheet, sections 7.1.5.1 and 7.2.2.3.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct IgbDescriptor
{
    /// <summary>Address of the buffer.</summary>
    public ulong Address;

    /// <summary>What to do with it: 0 to receive; else DTALEN in bits 15:0, DTYP and DCMD in bits 31:20, PAYLEN in bits 63:46.</summary>
    public ulong Command;
}
