using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>BAR2: two I/O ports, IOADDR and IODATA, through which the registers are reached.</summary>
/// <remarks>82576 Datasheet, section 8.1. Accesses are of 4 bytes.</remarks>
internal sealed class IgbPorts(RegisterFile<IgbRegister> registers) : BarContent
{
    private const int Address = 0, Data = 4;
    private uint _address;

    /// <inheritdoc/>
    public override ulong Length => 0x20;

    /// <inheritdoc/>
    public override void Read(ulong offset, Span<byte> destination)
    {
        destination.Clear();
        if (destination.Length != sizeof(uint))
            return;
        if (offset == Address)
            BinaryPrimitives.WriteUInt32LittleEndian(destination, _address);
        else if (offset == Data && IsRegister)
            registers.Read(_address, destination);
    }

    /// <inheritdoc/>
    public override void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (source.Length != sizeof(uint))
            return;
        if (offset == Address)
            _address = BinaryPrimitives.ReadUInt32LittleEndian(source);
        else if (offset == Data && IsRegister)
            registers.Write(_address, source);
    }

    /// <inheritdoc/>
    public override void Reset() => _address = 0;

    private bool IsRegister => _address < IgbRegisters.BarLength && _address % sizeof(uint) == 0;
}
