using System.Buffers.Binary;

namespace Vfio.Pci;

/// <summary>A picture of a function's config space: its first 64, 256 or 4096 bytes, or as many as its reader was shown.</summary>
/// <remarks>PCI Express Base 6.0, section 7.5. Reads past what is known return all ones, as an absent register does.</remarks>
public sealed class ConfigSpace
{
    /// <summary>Size of the header, in bytes.</summary>
    public const int HeaderLength = 0x40;

    /// <summary>Size of conventional config space, in bytes.</summary>
    public const int ConventionalLength = 0x100;

    /// <summary>Size of config space with the extended part of PCI Express, in bytes.</summary>
    public const int ExtendedLength = 0x1000;

    private readonly byte[] _bytes;
    private readonly Func<int, uint>? _read;
    private readonly bool[] _isRead = [];

    /// <summary>Copies the bytes.</summary>
    /// <param name="bytes">From offset 0; at most 4096.</param>
    public ConfigSpace(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length, ExtendedLength, nameof(bytes));
        _bytes = bytes.ToArray();
    }

    /// <summary>Makes a picture whose dwords are read when they are first looked at: no register is touched without need.</summary>
    /// <param name="length">Its size in bytes, a multiple of 4; at most 4096.</param>
    /// <param name="read">Reads the dword at an offset.</param>
    /// <remarks><see cref="Bytes"/> has zeros where nothing was read. Not for several threads.</remarks>
    internal ConfigSpace(int length, Func<int, uint> read)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, ExtendedLength, nameof(length));
        _bytes = new byte[length & ~3];
        _isRead = new bool[length / 4];
        _read = read;
    }

    /// <summary>How many bytes are known.</summary>
    public int Length => _bytes.Length;

    /// <summary>The known bytes.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Vendor id.</summary>
    public ushort VendorId => Read16(0);

    /// <summary>Device id.</summary>
    public ushort DeviceId => Read16(2);

    /// <summary>Layout of the header: 0 for functions, 1 for bridges; bit 7 (more than one function) left out.</summary>
    public int HeaderType => Read8(0x0e) & 0x7f;

    /// <summary>Whether Status, bit 4, says that there is a list of capabilities.</summary>
    public bool HasCapabilities => Length >= 8 && (Read16(6) & 0x10) != 0;

    /// <summary>Whether a range is known.</summary>
    public bool Knows(int offset, int bytes) => offset >= 0 && bytes >= 0 && offset <= Length - bytes;

    /// <summary>Reads 8 bits.</summary>
    public byte Read8(int offset) => Knows(offset, 1) ? At(offset, 1)[0] : byte.MaxValue;

    /// <summary>Reads 16 bits, little-endian.</summary>
    public ushort Read16(int offset) =>
        Knows(offset, 2) ? BinaryPrimitives.ReadUInt16LittleEndian(At(offset, 2)) : ushort.MaxValue;

    /// <summary>Reads 32 bits, little-endian.</summary>
    public uint Read32(int offset) =>
        Knows(offset, 4) ? BinaryPrimitives.ReadUInt32LittleEndian(At(offset, 4)) : uint.MaxValue;

    /// <summary>Reads 1, 2 or 4 bytes, little-endian.</summary>
    public uint Read(int offset, int bytes) => bytes switch
    {
        1 => Read8(offset),
        2 => Read16(offset),
        4 => Read32(offset),
        _ => throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "1, 2 or 4"),
    };

    private ReadOnlySpan<byte> At(int offset, int bytes)
    {
        for (int dword = offset / 4; _read is not null && dword <= (offset + bytes - 1) / 4; dword++)
        {
            if (_isRead[dword])
                continue;
            _isRead[dword] = true;
            BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(4 * dword), _read(4 * dword));
        }

        return _bytes.AsSpan(offset, bytes);
    }
}
