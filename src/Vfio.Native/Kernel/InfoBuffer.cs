using Vfio.Native.Memory;

namespace Vfio.Native.Kernel;

/// <summary>The answer to an INFO ioctl: a struct whose first field is <c>argsz</c>, and a chain of capabilities behind it.</summary>
internal static class InfoBuffer
{
    private const int HeaderBytes = 8;

    /// <summary>Queries, and once more with a larger buffer when the kernel reports that there is more.</summary>
    /// <typeparam name="T">The struct.</typeparam>
    /// <param name="ask">Passes the buffer to the kernel; its first four bytes are its length.</param>
    /// <param name="request">What the struct says of what is asked for.</param>
    internal static byte[] Ask<T>(Action<byte[]> ask, in T request = default)
        where T : unmanaged
    {
        byte[] bytes = NewBuffer(Blittable.SizeOf<T>(), request);
        ask(bytes);
        int needed = (int)Blittable.Read<uint>(bytes);
        if (needed <= bytes.Length)
            return bytes;
        bytes = NewBuffer(needed, request);
        ask(bytes);
        return bytes;
    }

    /// <summary>The part of the answer that a capability is, with its header.</summary>
    /// <param name="bytes">The answer.</param>
    /// <param name="first">Offset of the first capability; 0 when there is none.</param>
    /// <param name="id">Which one.</param>
    /// <returns>Empty when it is not there.</returns>
    internal static ReadOnlySpan<byte> FindCapability(ReadOnlySpan<byte> bytes, uint first, ushort id)
    {
        // Each capability lies behind the one before it, so a chain that turns back ends.
        uint offset = first;
        for (uint least = 1; offset >= least && offset <= bytes.Length - HeaderBytes;)
        {
            vfio_info_cap_header header = Blittable.Read<vfio_info_cap_header>(bytes[(int)offset..]);
            if (header.id == id)
                return bytes[(int)offset..];
            least = offset + HeaderBytes;
            offset = header.next;
        }

        return default;
    }

    private static byte[] NewBuffer<T>(int length, in T request)
        where T : unmanaged
    {
        byte[] bytes = new byte[length];
        Blittable.Write(bytes, request);
        Blittable.Write(bytes, (uint)length);
        return bytes;
    }
}
