using System.Buffers.Binary;
using System.Text;

namespace Vfio.Description;

/// <summary>Writes the bytes of a <see cref="DeviceTable"/>.</summary>
internal sealed class TableWriter
{
    private readonly MemoryStream _bytes = new();

    /// <summary>Starts a table.</summary>
    internal TableWriter()
    {
        _bytes.Write(TableFormat.Mark);
        Number(TableFormat.Version, 2);
        Number(TableFormat.HeadBytes, 2);
        Number(0, 4);
    }

    /// <summary>Writes a record.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="content">Its numbers, each with its width in bytes.</param>
    /// <param name="below">Writes the records below it; null for none.</param>
    internal void Record(string type, IEnumerable<(ulong Value, int Bytes)> content, Action? below = null) =>
        Record(type, () => { foreach ((ulong value, int bytes) in content) Number(value, bytes); }, below);

    /// <summary>Writes a record with a text.</summary>
    internal void Text(string type, string text) => Record(type, () => _bytes.Write(Encoding.UTF8.GetBytes(text)), null);

    /// <summary>Ends the table.</summary>
    /// <returns>Its bytes.</returns>
    internal byte[] End()
    {
        byte[] table = _bytes.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(table.AsSpan(12), table.Length);
        return table;
    }

    private void Record(string type, Action content, Action? below)
    {
        long start = _bytes.Length;
        _bytes.Write(Encoding.ASCII.GetBytes(type));
        Number(0, 8);
        Number(0, 4);
        content();
        long contentEnd = _bytes.Length;
        while (_bytes.Length % TableFormat.Alignment != 0)
            _bytes.WriteByte(0);
        below?.Invoke();
        long end = _bytes.Length;
        _bytes.Position = start + 4;
        Number((ulong)(end - start), 4);
        Number((ulong)(contentEnd - start - TableFormat.RecordHeadBytes), 4);
        _bytes.Position = end;
    }

    private void Number(ulong value, int bytes)
    {
        for (int i = 0; i < bytes; i++)
            _bytes.WriteByte((byte)(value >> (8 * i)));
    }
}
