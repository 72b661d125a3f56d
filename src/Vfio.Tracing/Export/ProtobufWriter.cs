using System.Buffers.Binary;
using System.Text;

namespace Vfio.Tracing.Export;

/// <summary>Writes fields of Protocol Buffers messages.</summary>
/// <remarks>protobuf.dev, "Encoding": a tag is the field's number and its wire type.</remarks>
internal sealed class ProtobufWriter
{
    private const int Varint = 0, Fixed64 = 1, Bytes = 2;
    private byte[] _buffer = new byte[256];
    private int _used;

    /// <summary>What was written.</summary>
    internal ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _used);

    /// <summary>Forgets what was written.</summary>
    internal void Clear() => _used = 0;

    /// <summary>Adds an integer, an enumeration or a bool.</summary>
    internal void Add(int field, ulong value)
    {
        AddVarint((uint)(field << 3 | Varint));
        AddVarint(value);
    }

    /// <summary>Adds a <c>fixed64</c>.</summary>
    internal void AddFixed(int field, ulong value)
    {
        AddVarint((uint)(field << 3 | Fixed64));
        BinaryPrimitives.WriteUInt64LittleEndian(Reserve(sizeof(ulong)), value);
    }

    /// <summary>Adds a text.</summary>
    internal void Add(int field, string text) => Add(field, Encoding.UTF8.GetBytes(text));

    /// <summary>Adds a message, or bytes.</summary>
    internal void Add(int field, ReadOnlySpan<byte> bytes)
    {
        AddVarint((uint)(field << 3 | Bytes));
        AddVarint((ulong)bytes.Length);
        bytes.CopyTo(Reserve(bytes.Length));
    }

    private void AddVarint(ulong value)
    {
        while (value >= 0x80)
        {
            Reserve(1)[0] = (byte)(value | 0x80);
            value >>= 7;
        }

        Reserve(1)[0] = (byte)value;
    }

    private Span<byte> Reserve(int count)
    {
        if (_used + count > _buffer.Length)
            Array.Resize(ref _buffer, Math.Max(_used + count, 2 * _buffer.Length));
        _used += count;
        return _buffer.AsSpan(_used - count, count);
    }
}
