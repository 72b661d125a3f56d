using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>One open of a file of the kernel's interface: a container, a group, a device, an iommufd.</summary>
/// <remarks>Any thread may call it. It is disposed after the last descriptor and mapping of it is gone, in whichever process these are.
/// </remarks>
internal abstract class ServedFile : IDisposable
{
    /// <summary>Answers ioctl(2).</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="request">The number of the request, all 32 bits.</param>
    /// <param name="argument">The third argument: a pointer into the caller's memory, or a number.</param>
    /// <returns>What the call returns: 0 or above, or a negative errno; ENOTTY for a request that is not known.</returns>
    public abstract long Ioctl(ICaller caller, uint request, ulong argument);

    /// <summary>Answers pread(2); EINVAL where the kernel's file has none.</summary>
    /// <returns>The number of bytes, or a negative errno.</returns>
    public virtual long Read(ICaller caller, ulong offset, ulong address, ulong count) => -(long)Errno.InvalidArgument;

    /// <summary>Answers pwrite(2); EINVAL where the kernel's file has none.</summary>
    /// <returns>The number of bytes, or a negative errno.</returns>
    public virtual long Write(ICaller caller, ulong offset, ulong address, ulong count) => -(long)Errno.InvalidArgument;

    /// <summary>What mmap(2) of a range of it gives, asked for the offsets of <see cref="RegionOffsets"/> only; ENODEV where the kernel's file cannot be mapped.</summary>
    public virtual ServedMapping Map(ulong offset, ulong length, bool isWritable) => ServedMapping.Refused(Errno.NoDevice);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Undoes what was done by this file: bound interrupts, mappings, attachments, the open device.</summary>
    protected abstract void Dispose(bool disposing);
}
