using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>The memory of a process as it is now, whatever becomes of the process: <c>/proc/PID/mem</c>.</summary>
/// <remarks>It holds the address space itself. When the process ends or executes another program, accesses fail; they never reach the
/// memory of another process that got its number.</remarks>
internal sealed unsafe class AddressSpaceFile : IDisposable
{
    private readonly FileDescriptor _descriptor;

    private AddressSpaceFile(FileDescriptor descriptor) => _descriptor = descriptor;

    /// <summary>Opens it.</summary>
    /// <returns>Null when the process has ended, or this one may not.</returns>
    internal static AddressSpaceFile? Open(int thread)
    {
        int number = LibC.open($"/proc/{thread}/mem", LibC.O_RDWR | LibC.O_CLOEXEC);
        return number >= 0 ? new AddressSpaceFile(new FileDescriptor(number)) : null;
    }

    /// <summary>Copies bytes out.</summary>
    /// <returns>EFAULT when a part is not mapped, or the process has ended.</returns>
    internal Errno Read(ulong address, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            nint count;
            fixed (byte* to = destination)
                count = LibC.pread(_descriptor.Number, to, (nuint)destination.Length, (long)address);
            if (count <= 0 && !IsInterrupted(count))
                return Errno.BadAddress;
            destination = destination[(int)Math.Max(0, count)..];
            address += (ulong)Math.Max(0, count);
        }

        return Errno.None;
    }

    /// <summary>Copies bytes in.</summary>
    /// <returns>EFAULT when a part is not mapped, or the process has ended.</returns>
    internal Errno Write(ulong address, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            nint count;
            fixed (byte* from = source)
                count = LibC.pwrite(_descriptor.Number, from, (nuint)source.Length, (long)address);
            if (count <= 0 && !IsInterrupted(count))
                return Errno.BadAddress;
            source = source[(int)Math.Max(0, count)..];
            address += (ulong)Math.Max(0, count);
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    private static bool IsInterrupted(nint count) => count < 0 && (Errno)Marshal.GetLastPInvokeError() == Errno.Interrupted;
}
