using System.Runtime.InteropServices;
using System.Text;

namespace Vfio.Native.Kernel;

/// <summary><c>/dev/vfio/N</c>: an IOMMU group, functions that the IOMMU cannot isolate from each other. One method for each
/// ioctl.</summary>
internal sealed unsafe class GroupFile(FileDescriptor descriptor, string name) : KernelFile(descriptor, name)
{
    /// <summary>VFIO_GROUP_GET_STATUS.</summary>
    internal GroupStatus GetStatus()
    {
        // SAFETY: the kernel writes at most argsz bytes, and status outlives the call.
        vfio_group_status status = new() { argsz = (uint)sizeof(vfio_group_status) };
        Call(KernelRequest.VFIO_GROUP_GET_STATUS, &status);
        return (GroupStatus)status.flags;
    }

    /// <summary>VFIO_GROUP_SET_CONTAINER.</summary>
    internal void SetContainer(ContainerFile container)
    {
        // SAFETY: the kernel reads one number.
        int number = container.Descriptor.Number;
        Call(KernelRequest.VFIO_GROUP_SET_CONTAINER, &number);
    }

    /// <summary>VFIO_GROUP_GET_DEVICE_FD.</summary>
    /// <param name="device">Its name in sysfs.</param>
    /// <param name="name">Its name for messages.</param>
    internal DeviceFile GetDevice(string device, string name)
    {
        Span<byte> text = stackalloc byte[64];
        text.Clear();
        Encoding.UTF8.GetBytes(device, text[..^1]);
        // SAFETY: the kernel reads a string, and it ends with NUL.
        fixed (byte* start = text)
        {
            int number = TryCall(KernelRequest.VFIO_GROUP_GET_DEVICE_FD, start);
            return number >= 0
                ? new DeviceFile(new FileDescriptor(number), name)
                : throw VfioException.FromLastError("VFIO_GROUP_GET_DEVICE_FD", name, ErrorHint((Errno)Marshal.GetLastPInvokeError()));
        }
    }

    private static string? ErrorHint(Errno errno) => errno switch
    {
        Errno.Busy => "another program has it open",
        Errno.NoDevice => "it is not bound to a vfio driver, or it is gone",
        _ => null,
    };
}

/// <summary>VFIO_GROUP_FLAGS_*.</summary>
[Flags]
internal enum GroupStatus : uint
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Every function of it is bound to a vfio driver, or to none.</summary>
    Viable = 1,

    /// <summary>It is in a container.</summary>
    ContainerSet = 2,
}
