using System.Buffers.Binary;

namespace Vfio.Captures;

/// <summary>Writes one block of pcapng, little-endian: type, length, body, options, length again.</summary>
/// <remarks>draft-ietf-opsawg-pcapng, sections 3.1 and 3.5. The buffer is long enough, which is its owner's duty.</remarks>
internal ref struct PcapngBlock
{
    /// <summary>Everything in a block is a multiple of this long.</summary>
    internal const int Alignment = 4;

    /// <summary>Type and both lengths.</summary>
    internal const int FrameBytes = 12;

    private const ushort EndOfOptions = 0;
    private readonly Span<byte> _buffer;
    private int _length;

    internal PcapngBlock(Span<byte> buffer, uint type)
    {
        _buffer = buffer;
        Add(type);
        Add(0u);
    }

    internal static int Padded(int length) => (length + (Alignment - 1)) & ~(Alignment - 1);

    internal void Add(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer[_length..], value);
        _length += sizeof(ushort);
    }

    internal void Add(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer[_length..], value);
        _length += sizeof(uint);
    }

    internal void Add(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer[_length..], value);
        _length += sizeof(ulong);
    }

    /// <summary>A time: its upper half goes first, also where numbers are little-endian.</summary>
    internal void AddTime(ulong nanoseconds)
    {
        Add((uint)(nanoseconds >> 32));
        Add((uint)nanoseconds);
    }

    /// <summary>Bytes, filled with zeros up to a multiple of four.</summary>
    internal void Add(scoped ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_buffer[_length..]);
        int padded = Padded(bytes.Length);
        _buffer[(_length + bytes.Length)..(_length + padded)].Clear();
        _length += padded;
    }

    internal void AddOption(ushort code, scoped ReadOnlySpan<byte> value)
    {
        StartOption(code, value.Length);
        Add(value);
    }

    internal void AddOption(ushort code, uint value)
    {
        StartOption(code, sizeof(uint));
        Add(value);
    }

    internal void AddOption(ushort code, ulong value)
    {
        StartOption(code, sizeof(ulong));
        Add(value);
    }

    internal void AddTimeOption(ushort code, ulong nanoseconds)
    {
        StartOption(code, sizeof(ulong));
        AddTime(nanoseconds);
    }

    /// <summary>Ends a block that has options.</summary>
    /// <returns>Its length, in bytes.</returns>
    internal int End()
    {
        StartOption(EndOfOptions, 0);
        Add((uint)(_length + sizeof(uint)));
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer[sizeof(uint)..], (uint)_length);
        return _length;
    }

    private void StartOption(ushort code, int length)
    {
        Add(code);
        Add(checked((ushort)length));
    }
}
