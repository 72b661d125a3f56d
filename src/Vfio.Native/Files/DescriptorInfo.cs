using System.Globalization;
using System.Text;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>What the kernel says of a descriptor in <c>/proc/self/fdinfo</c>; see proc_pid_fdinfo(5).</summary>
/// <remarks>The name that <c>/proc/self/fd</c> links to proves nothing: a FIFO may lie at a path of any name. Nor does any line there
/// that has the right word in it, for some kinds list names of files (io_uring) or of interfaces, which their maker chose. So the text
/// is read in its order: the lines that every descriptor has, whose values are numbers, locks, and then at once the line that the kind
/// writes first.</remarks>
internal static class DescriptorInfo
{
    private const int MaxBytes = 4096;

    /// <summary>Whether it is an eventfd.</summary>
    internal static bool IsEventFd(FileDescriptor descriptor) => SaysEventFd(Read(descriptor));

    /// <summary>The mount that the file was opened through; null when it is not known.</summary>
    internal static int? MountOf(FileDescriptor descriptor)
    {
        const string Row = "mnt_id:";
        foreach (ReadOnlySpan<char> line in Read(descriptor).AsSpan().EnumerateLines())
        {
            if (line.StartsWith(Row, StringComparison.Ordinal))
                return int.TryParse(line[Row.Length..], NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture, out int id) ? id : null;
        }

        return null;
    }

    /// <summary>Whether a text is what the kernel says of an eventfd.</summary>
    internal static bool SaysEventFd(string text)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            int colon = line.IndexOf(':');
            if (colon < 0)
                return false;
            switch (line[..colon])
            {
                case "pos" or "flags" or "mnt_id" or "ino" or "lock":
                    continue;
                case "eventfd-count":
                    return true;
                default:
                    return false;
            }
        }

        return false;
    }

    private static unsafe string Read(FileDescriptor descriptor)
    {
        int number = LibC.open($"/proc/self/fdinfo/{descriptor.Number}", LibC.O_RDONLY | LibC.O_CLOEXEC);
        if (number < 0)
            return "";
        using FileDescriptor info = new(number);
        byte* text = stackalloc byte[MaxBytes];
        nint count = LibC.read(number, text, MaxBytes);
        return count > 0 ? Encoding.Latin1.GetString(text, (int)count) : "";
    }
}
