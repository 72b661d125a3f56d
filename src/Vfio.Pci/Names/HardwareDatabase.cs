using System.Buffers.Binary;
using System.Text;

namespace Vfio.Pci.Names;

/// <summary>udev's database of hardware, compiled: properties of everything whose pattern matches a name.</summary>
/// <remarks>The format of systemd's <c>hwdb.bin</c>, version 3 and before: a header, a tree of prefixes, and strings. A file that is broken
/// has fewer properties, or none; no file makes a question fail, or go on for ever. Safe to ask from any
/// thread.</remarks>
internal sealed class HardwareDatabase
{
    private const int MostNodes = 1 << 16;
    private const int LongestPattern = 2048;
    private const int LongestText = 4096;
    private const int ValueBytes = 16, SourcedValueBytes = 32;
    private readonly ReadOnlyMemory<byte> _file;
    private readonly int _nodeBytes;
    private readonly int _childBytes;
    private readonly int _valueBytes;

    private HardwareDatabase(ReadOnlyMemory<byte> file)
    {
        _file = file;
        (_nodeBytes, _childBytes, _valueBytes) = (Size(32, 24), Size(40, 16), Size(48, ValueBytes));
    }

    private static ReadOnlySpan<byte> Signature => "KSLPHHRH"u8;

    /// <summary>Reads a database.</summary>
    /// <param name="file">The file's bytes.</param>
    /// <returns>Null when it is not one.</returns>
    public static HardwareDatabase? Read(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> bytes = file.Span;
        return bytes.Length >= 80 && bytes.StartsWith(Signature) && BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]) == (ulong)bytes.Length
            ? new HardwareDatabase(file)
            : null;
    }

    /// <summary>The value of a property for a name; null when no pattern that matches the name has it.</summary>
    /// <param name="name">A name, such as <c>pci:v00001234d000011E8*</c>; a star in it is matched by stars only.</param>
    /// <param name="key">The property, such as <c>ID_MODEL_FROM_DATABASE</c>.</param>
    /// <remarks>Of several values that from the file of the highest priority counts, in it the last.</remarks>
    public string? Find(string name, string key)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(key);
        Search search = new(this, Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(" " + key));
        search.Run(Offset(56));
        return search.Found < 0 ? null : Encoding.UTF8.GetString(Text(Offset(search.Found + 8)));
    }

    // Records may grow in later versions; what is known of them comes first.
    private int Size(int at, int least) => Offset(at) is var size && size >= least && size <= 4096 ? size : least;

    /// <summary>A 64-bit offset into the file; -1 for one that is not in it.</summary>
    private int Offset(int at) => at >= 0 && at + 8 <= _file.Length
        && BinaryPrimitives.ReadUInt64LittleEndian(_file.Span[at..]) is var offset && offset < (ulong)_file.Length
            ? (int)offset
            : -1;

    private ReadOnlySpan<byte> Text(int at)
    {
        if (at <= 0)
            return default;
        ReadOnlySpan<byte> rest = _file.Span[at..Math.Min(at + LongestText, _file.Length)];
        return rest.IndexOf((byte)0) is >= 0 and var end ? rest[..end] : default;
    }

    /// <summary>One question on its way through the tree.</summary>
    private sealed class Search(HardwareDatabase database, byte[] name, byte[] key)
    {
        private readonly byte[] _pattern = new byte[LongestPattern];
        private int _left = MostNodes;

        /// <summary>Where the value's record is; -1 for none.</summary>
        internal int Found { get; private set; } = -1;

        internal void Run(int node)
        {
            int at = 0;
            while (node >= 0 && _left-- > 0)
            {
                ReadOnlySpan<byte> prefix = database.Text(database.Offset(node));
                int special = prefix.IndexOfAny("*?["u8);
                ReadOnlySpan<byte> plain = special < 0 ? prefix : prefix[..special];
                if (!name.AsSpan(at).StartsWith(plain))
                    return;
                at += plain.Length;
                if (special >= 0)
                {
                    Match(node, special, 0, at);
                    return;
                }

                foreach (byte letter in "*?["u8)
                {
                    _pattern[0] = letter;
                    if (Child(node, letter) is >= 0 and var child)
                        Match(child, 0, 1, at);
                }

                if (at == name.Length)
                {
                    Take(node);
                    return;
                }

                node = Child(node, name[at++]);
            }
        }

        /// <summary>Takes what matches the rest of the name, below a node from where on there are patterns.</summary>
        private void Match(int node, int skipped, int length, int at)
        {
            if (node < 0 || _left-- <= 0)
                return;
            ReadOnlySpan<byte> prefix = database.Text(database.Offset(node));
            prefix = prefix[Math.Min(skipped, prefix.Length)..];
            if (length + prefix.Length + 1 >= LongestPattern)
                return;
            prefix.CopyTo(_pattern.AsSpan(length));
            length += prefix.Length;
            for (int i = 0; i < ChildCount(node); i++)
            {
                int child = ChildAt(node, i);
                if (child + 16 > database._file.Length)
                    break;
                _pattern[length] = database._file.Span[child];
                Match(database.Offset(child + 8), 0, length + 1, at);
            }

            if (Glob.Matches(_pattern.AsSpan(0, length), name.AsSpan(at)))
                Take(node);
        }

        private void Take(int node)
        {
            int first = ChildAt(node, ChildCount(node));
            ulong count = node + 24 <= database._file.Length ? BinaryPrimitives.ReadUInt64LittleEndian(database._file.Span[(node + 16)..]) : 0;
            int room = Math.Max(0, database._file.Length - first) / database._valueBytes;
            for (int i = 0; i < (int)Math.Min(count, (ulong)room) && _left-- > 0; i++)
            {
                int value = first + (i * database._valueBytes);
                if (database.Text(database.Offset(value)).SequenceEqual(key) && Rank(value) >= Rank(Found))
                    Found = value;
            }
        }

        /// <summary>The source's priority, then its line.</summary>
        private ulong Rank(int value)
        {
            if (value < 0 || database._valueBytes < SourcedValueBytes)
                return 0;
            ReadOnlySpan<byte> source = database._file.Span[(value + 24)..];
            return (ulong)BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) << 32 | BinaryPrimitives.ReadUInt32LittleEndian(source);
        }

        private int ChildCount(int node) => node + 24 <= database._file.Length ? database._file.Span[node + 8] : 0;

        private int ChildAt(int node, int index) => node + database._nodeBytes + (index * database._childBytes);

        private int Child(int node, byte letter)
        {
            for (int i = 0; i < ChildCount(node); i++)
            {
                int child = ChildAt(node, i);
                if (child + 16 > database._file.Length)
                    break;
                if (database._file.Span[child] == letter)
                    return database.Offset(child + 8);
            }

            return -1;
        }
    }
}
