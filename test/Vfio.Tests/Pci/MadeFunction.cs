using System.Buffers.Binary;
using Vfio.Pci;

namespace Vfio.Tests.Pci;

/// <summary>A config space put together for a test: capabilities are linked in the order in which they are added.</summary>
internal sealed class MadeFunction
{
    private int _lastStandard;
    private int _lastExtended;

    public MadeFunction(int length = 4096, byte headerType = 0)
    {
        Bytes = new byte[length];
        Put16(0x00, 0x1234);
        Put16(0x02, 0x5678);
        Put16(0x06, 0x0010);
        Put16(0x0a, headerType == 0 ? (ushort)0x0200 : (ushort)0x0604);
        Bytes[0x0e] = headerType;
    }

    public byte[] Bytes { get; }

    public ConfigSpace Space => new(Bytes);

    public void Put16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Bytes.AsSpan(offset), value);

    public void Put32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Bytes.AsSpan(offset), value);

    public void Put(int offset, string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)).CopyTo(Bytes, offset);

    /// <summary>Adds a standard capability; its bytes from offset 2 on are in hex.</summary>
    public MadeFunction Standard(int offset, byte id, string hex = "")
    {
        Bytes[_lastStandard == 0 ? 0x34 : _lastStandard + 1] = (byte)offset;
        Bytes[offset] = id;
        Put(offset + 2, hex);
        _lastStandard = offset;
        return this;
    }

    /// <summary>Adds an extended capability; the first goes to 0x100. Its bytes from offset 4 on are in hex.</summary>
    public MadeFunction Extended(int offset, ushort id, int version, string hex = "")
    {
        if (_lastExtended != 0)
            Put32(_lastExtended, BinaryPrimitives.ReadUInt32LittleEndian(Bytes.AsSpan(_lastExtended)) | (uint)offset << 20);
        Put32(offset, id | (uint)version << 16);
        Put(offset + 4, hex);
        _lastExtended = offset;
        return this;
    }

    /// <summary>A PCI Express endpoint, so that extended capabilities count. Four lanes.</summary>
    public static MadeFunction Express(string type = "02 00") =>
        new MadeFunction().Standard(0x40, 0x10, $"{type} 00000000 0000 0000 43 00 00 00");

    public CapabilityList Read() => CapabilityList.Read(Space);
}
