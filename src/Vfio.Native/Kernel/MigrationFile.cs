using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Kernel;

/// <summary>What the state of a device goes through while it is migrated, one way: the data_fd of a change of state.</summary>
internal sealed unsafe class MigrationFile(FileDescriptor descriptor, string name) : KernelFile(descriptor, name)
{
    /// <summary>ENOMSG: there is no more for now, while the device runs.</summary>
    private const int NoMessage = 42;

    /// <summary>Reads what comes next.</summary>
    /// <returns>How many bytes; 0 at the end, for now or for good; -1 with the errno set when it was refused.</returns>
    internal int Read(Span<byte> destination)
    {
        while (true)
        {
            nint count;
            fixed (byte* to = destination)
                count = LibC.read(Descriptor.Number, to, (nuint)destination.Length);
            if (count >= 0)
                return (int)count;
            int errno = Marshal.GetLastPInvokeError();
            if (errno == NoMessage)
                return 0;
            if (errno != (int)Errno.Interrupted)
                return -1;
        }
    }

    /// <summary>Writes what comes next.</summary>
    /// <returns>How many bytes were taken; -1 with the errno set when it was refused.</returns>
    internal int Write(ReadOnlySpan<byte> source)
    {
        nint count;
        do
        {
            fixed (byte* from = source)
                count = LibC.write(Descriptor.Number, from, (nuint)source.Length);
        }
        while (count < 0 && Marshal.GetLastPInvokeError() == (int)Errno.Interrupted);
        return (int)count;
    }

    /// <summary>VFIO_MIG_GET_PRECOPY_INFO.</summary>
    internal vfio_precopy_info GetPreCopyInfo()
    {
        // SAFETY: the kernel writes at most argsz bytes, and info outlives the call.
        vfio_precopy_info info = new() { argsz = (uint)sizeof(vfio_precopy_info) };
        Call(KernelRequest.VFIO_MIG_GET_PRECOPY_INFO, &info);
        return info;
    }
}
