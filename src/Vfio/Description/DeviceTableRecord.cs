using System.Buffers.Binary;
using System.Text;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Description;

namespace Vfio;

/// <summary>A record of a <see cref="DeviceTable"/>: a type, bytes whose meaning the type says, and records below it.</summary>
/// <remarks>A newer writer may add records of other types, and bytes to the end of a content. A reader skips both.</remarks>
public sealed class DeviceTableRecord
{
    private DeviceTableRecord(string type, ReadOnlyMemory<byte> content, IReadOnlyList<DeviceTableRecord> records)
    {
        Type = type;
        Content = content;
        Records = records;
    }

    /// <summary>Four printable ASCII characters, such as <c>REGN</c>.</summary>
    public string Type { get; }

    /// <summary>Its bytes; numbers in them are little-endian.</summary>
    public ReadOnlyMemory<byte> Content { get; }

    /// <summary>The records below it, in their order.</summary>
    public IReadOnlyList<DeviceTableRecord> Records { get; }

    /// <summary>The text of a record below it of this type; null when there is none.</summary>
    /// <param name="type">Such as <c>NAME</c>.</param>
    public string? TextOf(string type) => Records.FirstOrDefault(record => record.Type == type)?.Text;

    /// <summary>The content as UTF-8 text; what is not printable is escaped, and a long one cut.</summary>
    public string Text => PrintableText.Of(Encoding.UTF8.GetString(Content.Span[..Math.Min(Content.Length, TableFormat.MaxTextBytes)]));

    /// <summary>A number in the content; 0 beyond its end, where an older writer had none.</summary>
    internal ulong Number(int offset, int bytes)
    {
        if (offset + bytes > Content.Length)
            return 0;
        ReadOnlySpan<byte> at = Content.Span[offset..];
        return bytes switch
        {
            1 => at[0],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(at),
            4 => BinaryPrimitives.ReadUInt32LittleEndian(at),
            _ => BinaryPrimitives.ReadUInt64LittleEndian(at),
        };
    }

    /// <summary>Reads records that fill a range.</summary>
    /// <param name="bytes">The range.</param>
    /// <param name="place">Where it is in the table, for errors.</param>
    /// <param name="depth">How many records this range is in.</param>
    /// <exception cref="VfioException">EINVAL: a record leaves the range, or is in too many others.</exception>
    internal static IReadOnlyList<DeviceTableRecord> ReadAll(ReadOnlyMemory<byte> bytes, int place, int depth)
    {
        List<DeviceTableRecord> records = [];
        while (bytes.Length > 0)
        {
            if (bytes.Length < TableFormat.RecordHeadBytes)
                throw TableFormat.Broken(place, $"{bytes.Length} bytes are no record");
            ReadOnlySpan<byte> head = bytes.Span;
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(head[4..]);
            uint contentLength = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
            if (head[..4].ContainsAnyExceptInRange((byte)' ', (byte)'~'))
                throw TableFormat.Broken(place, "the type of a record is not four printable characters");
            if (length < TableFormat.RecordHeadBytes || length % TableFormat.Alignment != 0 || length > bytes.Length)
                throw TableFormat.Broken(place, $"a record of {length} bytes, where {bytes.Length} are left");
            if (contentLength > length - TableFormat.RecordHeadBytes)
                throw TableFormat.Broken(place, $"a content of {contentLength} bytes in a record of {length}");
            if (depth > TableFormat.MaxDepth)
                throw TableFormat.Broken(place, $"more than {TableFormat.MaxDepth} records in each other");
            int below = TableFormat.RecordHeadBytes + TableFormat.Align((int)contentLength);
            records.Add(new DeviceTableRecord(
                Encoding.ASCII.GetString(head[..4]),
                bytes.Slice(TableFormat.RecordHeadBytes, (int)contentLength),
                ReadAll(bytes[below..(int)length], place + below, depth + 1)));
            bytes = bytes[(int)length..];
            place += (int)length;
        }

        return records;
    }
}
