using System.Globalization;
using System.Text;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Run.Tree;

namespace Vfio.Run.Tracing;

/// <summary>The attributes of sysfs that programs have opened to write them, whose writes have an effect.</summary>
/// <remarks>
/// <para>A write is the kernel's to make, as any other: a filter cannot tell writes to these files from others, and to look at all would cost
/// every program. So each open has a file of its own, and what was written to it is found out before the next call is answered: whoever
/// writes, and then looks by a call with a path, or by an ioctl, finds it done.</para>
/// <para>Used by the thread that answers system calls.</para>
/// </remarks>
internal sealed class WrittenFiles(MachineTree tree, DriverAttributes attributes) : IDisposable
{
    // A file is looked at until so many others were opened after it.
    private const int MostOpen = 16, MostBytes = 4096;
    private const string Folder = "/.written";
    private readonly LinkedList<WrittenFile> _files = [];
    private int _made;

    /// <summary>Opens an attribute.</summary>
    /// <param name="path">Its path, without links on the way.</param>
    /// <param name="flags">As of open(2).</param>
    /// <param name="file">The file that the program gets.</param>
    internal Errno Open(string path, int flags, out FileDescriptor? file)
    {
        byte[] content = attributes.FindConfig(path) is { } facts ? attributes.ReadConfig(facts) : [];
        string name = string.Create(CultureInfo.InvariantCulture, $"{Folder}/{++_made}");
        tree.Writer.Bytes(name, content, isSettable: true);
        Errno error = tree.Files.Open(name, LibC.O_RDONLY, out FileDescriptor? seen);
        if (error != Errno.None)
        {
            file = null;
            return error;
        }

        error = tree.Files.Open(name, flags, out file);
        tree.Writer.Remove(name);
        if (_files.Count >= MostOpen)
        {
            _files.First!.Value.File.Dispose();
            _files.RemoveFirst();
        }

        _files.AddLast(new WrittenFile(path, seen!, content));
        return error;
    }

    /// <summary>Does what was written since the last time.</summary>
    internal void DoWrites()
    {
        if (_files.Count == 0)
            return;
        for (LinkedListNode<WrittenFile>? next = _files.First; next is { Value: { } file } node;)
        {
            // First: what is written after it is seen the next time.
            bool isClosed = !OpenStatus.IsOpenElsewhere(file.File);
            if (attributes.FindConfig(file.Path) is { } facts)
                DoConfig(file, facts);
            else
                DoText(file);
            next = node.Next;
            if (!isClosed)
                continue;
            file.File.Dispose();
            _files.Remove(node);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (WrittenFile file in _files)
            file.File.Dispose();
        _files.Clear();
    }

    private void DoText(WrittenFile file)
    {
        long length = Math.Min((long)FileIdentity.Locate(file.File).LengthBytes, MostBytes);
        if (length <= file.Done)
            return;
        byte[] bytes = new byte[length - file.Done];
        int count = Read(file, bytes, file.Done);
        file.Done += count;

        // An empty line is a write too: it takes a driver's name back.
        string text = Encoding.Latin1.GetString(bytes, 0, count);
        foreach (string line in text.TrimEnd('\n').Split('\n'))
            attributes.Write(file.Path, line);
    }

    private void DoConfig(WrittenFile file, FunctionFacts facts)
    {
        const int Widest = 4;
        byte[] now = new byte[file.Content.Length];
        if (Read(file, now, 0) != now.Length || now.AsSpan().SequenceEqual(file.Content))
            return;
        for (int offset = 0; offset < now.Length; offset += Widest)
        {
            Span<byte> word = now.AsSpan(offset, Math.Min(Widest, now.Length - offset)), before = file.Content.AsSpan(offset, word.Length);
            int first = word.CommonPrefixLength(before);
            if (first == word.Length)
                continue;
            int last = word.Length - 1;
            while (word[last] == before[last])
                last--;
            attributes.WriteConfig(facts, offset + first, word[first..(last + 1)]);
        }

        file.Content = now;
    }

    private static int Read(WrittenFile file, byte[] bytes, long offset)
    {
        using FileStream stream = new($"/proc/self/fd/{file.File.Number}", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        stream.Position = offset;
        return stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
    }

    private sealed class WrittenFile(string path, FileDescriptor file, byte[] content)
    {
        internal string Path { get; } = path;

        internal FileDescriptor File { get; } = file;

        /// <summary>Of config space: what was there.</summary>
        internal byte[] Content { get; set; } = content;

        /// <summary>Of text: how much of it was done.</summary>
        internal long Done { get; set; }
    }
}
