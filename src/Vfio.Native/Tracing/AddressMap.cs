using System.Globalization;
using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>A mapping of a process: a line of <c>/proc/PID/maps</c>.</summary>
/// <param name="Start">First address.</param>
/// <param name="End">The address after the last.</param>
/// <param name="IsReadable">Whether it may read there.</param>
/// <param name="IsWritable">Whether it may write there.</param>
/// <param name="Offset">Where in its file it begins, in bytes.</param>
/// <param name="File">Its file; none has the inode 0.</param>
internal readonly record struct MappedArea(ulong Start, ulong End, bool IsReadable, bool IsWritable, ulong Offset, FileKey File);

/// <summary>A file of this machine.</summary>
/// <param name="FileSystem">The number of the file system that it is on.</param>
/// <param name="Inode">Its number there.</param>
internal readonly record struct FileKey(DeviceNumber FileSystem, ulong Inode)
{
    /// <summary>That of a file's status.</summary>
    internal static FileKey Of(FileStatus status) => new(status.FileSystem, status.Inode);
}

/// <summary>What is mapped where in another process.</summary>
internal static unsafe class AddressMap
{
    // PROCMAP_QUERY of linux/fs.h, Linux 6.11: one mapping, without the text of all.
    private const nuint Query = 0xc068_6611;
    private const int QueryWords = 13;
    private const ulong Readable = 1, Writable = 2;

    /// <summary>Finds the mapping at an address.</summary>
    /// <returns>False when nothing is mapped there, or the process has ended.</returns>
    internal static bool TryFind(int thread, ulong address, out MappedArea area)
    {
        area = default;
        int number = LibC.open($"/proc/{thread}/maps", LibC.O_RDONLY | LibC.O_CLOEXEC);
        if (number < 0)
            return false;
        using FileDescriptor maps = new(number);

        // struct procmap_query: size, flags, address; then start, end, flags, page size, offset, inode, major and minor of what is found.
        ulong* query = stackalloc ulong[QueryWords];
        new Span<ulong>(query, QueryWords).Clear();
        query[0] = QueryWords * sizeof(ulong);
        query[2] = address;
        if (LibC.ioctl(number, Query, query) == 0)
        {
            area = new MappedArea(query[3], query[4], (query[5] & Readable) != 0, (query[5] & Writable) != 0, query[7],
                new FileKey(new DeviceNumber((uint)query[9], (uint)(query[9] >> 32)), query[8]));
            return true;
        }

        return (Errno)Marshal.GetLastPInvokeError() == Errno.NoSuchOperation && TryFindInText(thread, address, out area);
    }

    /// <summary>Whether a process may read a whole range, or write it too.</summary>
    /// <param name="thread">A thread of it.</param>
    /// <param name="address">First address.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="isWritten">Whether it is written too.</param>
    /// <param name="isMemory">Whether a file is memory; asked for each mapping of a file.</param>
    internal static bool Allows(int thread, ulong address, ulong length, bool isWritten, Func<FileKey, bool> isMemory)
    {
        if (length > ulong.MaxValue - address)
            return false;
        ulong end = address + length;
        while (address < end)
        {
            if (!TryFind(thread, address, out MappedArea area) || !area.IsReadable || (isWritten && !area.IsWritable))
                return false;
            if (area.File.Inode != 0 && !isMemory(area.File))
                return false;
            address = area.End;
        }

        return true;
    }

    // 7f0000000000-7f0000001000 rw-s 1000000000000 00:1b 1234 /dev/shm/#1234 (deleted)
    private static bool TryFindInText(int thread, ulong address, out MappedArea area)
    {
        const int Fields = 5;
        area = default;
        try
        {
            foreach (string line in File.ReadLines($"/proc/{thread}/maps"))
            {
                string[] fields = line.Split(' ', Fields + 1);
                string[] ends = fields[0].Split('-');
                ulong start = Hex(ends[0]), end = Hex(ends[1]);
                if (address < start || address >= end)
                    continue;
                ulong inode = ulong.Parse(fields[4], CultureInfo.InvariantCulture);
                string[] number = fields[3].Split(':');
                FileKey file = new(new DeviceNumber((uint)Hex(number[0]), (uint)Hex(number[1])), inode);
                area = new MappedArea(start, end, fields[1][0] == 'r', fields[1][1] == 'w', Hex(fields[2]), file);
                return true;
            }
        }
        catch (IOException)
        {
            // It has ended meanwhile.
        }

        return false;
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
