using System.Buffers.Binary;
using System.Text;

namespace Vfio.Tests.Pci;

/// <summary>Compiles a database as <c>systemd-hwdb update</c> does: by the numbers of systemd's <c>hwdb-internal.h</c>.</summary>
/// <param name="withSources">Whether values say where they come from, as from version 2 on.</param>
internal sealed class DatabaseMaker(bool withSources = true)
{
    private const int HeaderBytes = 80, NodeBytes = 24, ChildBytes = 16;
    private readonly Node _root = new("");
    private readonly List<byte> _strings = [0];

    private int ValueBytes => withSources ? 32 : 16;

    /// <summary>Adds a property for all that match a pattern.</summary>
    public DatabaseMaker Add(string pattern, string key, string value, ushort priority = 1, uint line = 1)
    {
        Node node = _root;
        while (true)
        {
            int common = node.Prefix.AsSpan().CommonPrefixLength(pattern);
            if (common < node.Prefix.Length)
                node.Split(common);
            pattern = pattern[common..];
            if (pattern.Length == 0)
                break;
            if (!node.Children.TryGetValue(pattern[0], out Node? child))
                node.Children.Add(pattern[0], child = new Node(pattern[1..]));
            node = child;
            pattern = pattern[1..];
        }

        node.Values.Add((" " + key, value, priority, line));
        return this;
    }

    public byte[] Make()
    {
        List<Node> nodes = [];
        List(_root, nodes);
        int at = HeaderBytes;
        foreach (Node node in nodes)
        {
            node.Offset = at;
            at += NodeBytes + (node.Children.Count * ChildBytes) + (node.Values.Count * ValueBytes);
        }

        int strings = at;
        byte[] body = new byte[strings];
        foreach (Node node in nodes)
            Write(node, body, strings);
        "KSLPHHRH"u8.CopyTo(body);
        ulong[] header =
        [
            252, (ulong)(strings + _strings.Count), HeaderBytes, NodeBytes, ChildBytes, (ulong)ValueBytes, HeaderBytes,
            (ulong)(strings - HeaderBytes), (ulong)_strings.Count,
        ];
        for (int i = 0; i < header.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(8 + (8 * i)), header[i]);
        return [.. body, .. _strings];
    }

    private static void List(Node node, List<Node> nodes)
    {
        nodes.Add(node);
        foreach (Node child in node.Children.Values)
            List(child, nodes);
    }

    private void Write(Node node, byte[] body, int strings)
    {
        Put(node.Offset, Store(node.Prefix));
        body[node.Offset + 8] = (byte)node.Children.Count;
        Put(node.Offset + 16, node.Values.Count);
        int at = node.Offset + NodeBytes;
        foreach ((char letter, Node child) in node.Children)
        {
            body[at] = (byte)letter;
            Put(at + 8, child.Offset);
            at += ChildBytes;
        }

        foreach ((string key, string value, ushort priority, uint line) in node.Values)
        {
            Put(at, Store(key));
            Put(at + 8, Store(value));
            if (withSources)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(at + 24), line);
                BinaryPrimitives.WriteUInt16LittleEndian(body.AsSpan(at + 28), priority);
            }

            at += ValueBytes;
        }

        void Put(int offset, long value) => BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(offset), value);

        long Store(string text)
        {
            if (text.Length == 0)
                return 0;
            long offset = strings + _strings.Count;
            _strings.AddRange([.. Encoding.UTF8.GetBytes(text), 0]);
            return offset;
        }
    }

    private sealed class Node(string prefix)
    {
        public string Prefix { get; private set; } = prefix;

        public SortedDictionary<char, Node> Children { get; private set; } = [];

        public List<(string Key, string Value, ushort Priority, uint Line)> Values { get; private set; } = [];

        public int Offset { get; set; }

        public void Split(int at)
        {
            Node rest = new(Prefix[(at + 1)..]) { Children = Children, Values = Values };
            (Children, Values) = (new SortedDictionary<char, Node> { [Prefix[at]] = rest }, []);
            Prefix = Prefix[..at];
        }
    }
}
