using System.Text;

namespace Vfio.Native;

/// <summary>What the kernel says of a descriptor in <c>/proc/self/fdinfo</c>; see proc_pid_fdinfo(5).</summary>
/// <remarks>The name that <c>/proc/self/fd</c> links to proves nothing: a FIFO may lie at a path of any name. Nor does any line there
/// that has the right word in it, for some kinds list names of files (io_uring) or of interfaces, which their maker chose. So the text
/// is read in its order: the lines that every descriptor has, whose values are numbers, locks, and then at once the line that the kind
/// writes first.</remarks>
internal static class DescriptorInfo
{
    private const int MaxBytes = 4096;

    /// <summary>Whether it is an eventfd.</summary>
    internal static unsafe bool IsEventFd(FileDescriptor descriptor)
    {
        int number = LibC.open($"/proc/self/fdinfo/{descriptor.Number}", LibC.O_RDONLY | LibC.O_CLOEXEC);
        if (number < 0)
            return false;
        using FileDescriptor info = new(number);
        byte* text = stackalloc byte[MaxBytes];
        nint count = LibC.read(number, text, MaxBytes);
        return count > 0 && SaysEventFd(Encoding.Latin1.GetString(text, (int)count));
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
}
