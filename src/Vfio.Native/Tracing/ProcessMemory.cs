using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>Copies from and to the memory of another process, for the duration of one of its system calls (process_vm_readv(2)).</summary>
/// <remarks>The process waits for an answer meanwhile, so that its number is its own.</remarks>
internal static unsafe class ProcessMemory
{
    private const int PageBytes = 4096;

    /// <summary>Copies bytes out.</summary>
    /// <returns>False when a part cannot be read.</returns>
    internal static bool TryRead(int thread, ulong address, Span<byte> destination)
    {
        fixed (byte* to = destination)
        {
            LibC.IoVector local = new() { Base = to, Length = (nuint)destination.Length };
            LibC.IoVector remote = new() { Base = (void*)address, Length = (nuint)destination.Length };
            return destination.Length == 0 || TraceCalls.process_vm_readv(thread, &local, 1, &remote, 1, 0) == destination.Length;
        }
    }

    /// <summary>Copies bytes in.</summary>
    /// <returns>False when a part cannot be written; what is before it may have been.</returns>
    internal static bool TryWrite(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        fixed (byte* from = source)
        {
            LibC.IoVector local = new() { Base = from, Length = (nuint)source.Length };
            LibC.IoVector remote = new() { Base = (void*)address, Length = (nuint)source.Length };
            return source.Length == 0 || TraceCalls.process_vm_writev(thread, &local, 1, &remote, 1, 0) == source.Length;
        }
    }

    /// <summary>Copies a text out, up to its zero.</summary>
    /// <param name="thread">A thread of the process.</param>
    /// <param name="address">Where it begins.</param>
    /// <param name="destination">Receives it.</param>
    /// <returns>Its length in bytes without the zero; -1 when it cannot be read, or is too long.</returns>
    internal static int TryReadText(int thread, ulong address, Span<byte> destination)
    {
        int length = 0;
        while (length < destination.Length)
        {
            // No further than the page: what follows the zero may not be there.
            int part = Math.Min(PageBytes - (int)((address + (ulong)length) % PageBytes), destination.Length - length);
            Span<byte> here = destination.Slice(length, part);
            if (!TryRead(thread, address + (ulong)length, here))
                return -1;
            int end = here.IndexOf((byte)0);
            if (end >= 0)
                return length + end;
            length += part;
        }

        return -1;
    }
}
