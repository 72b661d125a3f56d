// src/CardRegisters.cs
namespace Fpga;

/// <summary>Registers of the card in BAR0. Offsets in bytes.</summary>
internal static class CardRegisters
{
    internal const ushort VendorId = 0x10ee, DeviceId = 0x7024;

    internal const long Id = 0x00;
    internal const long Version = 0x04;
    internal const long Scratch = 0x08;
    internal const long Control = 0x0c;
    internal const long Status = 0x10;
    internal const long Length = 0x14;
    internal const long Source = 0x18;
    internal const long Destination = 0x20;

    /// <summary>What ID reads as: the letters FPGA.</summary>
    internal const uint IdValue = 0x4650_4741;

    /// <summary>The largest LENGTH in bytes.</summary>
    internal const int MaxTransferBytes = 64 * 1024;
}

/// <summary>VERSION, offset 0x04: the version of the bitstream.</summary>
public readonly record struct CardVersion(uint Raw)
{
    /// <summary>Bits 31:16.</summary>
    public int Major => (int)(Raw >> 16);

    /// <summary>Bits 15:0.</summary>
    public int Minor => (int)(Raw & 0xffff);

    /// <inheritdoc/>
    public override string ToString() => $"{Major}.{Minor}";
}

/// <summary>CONTROL, offset 0x0c.</summary>
[Flags]
internal enum CardControl : uint
{
    /// <summary>Bit 0. Writing 1 starts the DMA engine.</summary>
    Start = 1,

    /// <summary>Bit 1. Interrupt when DONE is set.</summary>
    InterruptEnable = 2,
}

/// <summary>STATUS, offset 0x10. Writing 1 clears DONE and ERROR.</summary>
[Flags]
internal enum CardStatus : uint
{
    /// <summary>Bit 0. The DMA engine is at work.</summary>
    Busy = 1,

    /// <summary>Bit 1. The last transfer has ended.</summary>
    Done = 2,

    /// <summary>Bit 2. The last transfer failed: the length was wrong, or memory did not answer.</summary>
    Error = 4,
}
