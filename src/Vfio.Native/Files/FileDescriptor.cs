using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Native;

/// <summary>An open file descriptor that this object owns, closed once when the last reference is released.</summary>
/// <remarks>Reference counted as every <see cref="SafeHandle"/>: a holder that outlives its giver calls
/// <see cref="SafeHandle.DangerousAddRef"/> and <see cref="SafeHandle.DangerousRelease"/>; no copy of the descriptor is needed.</remarks>
public sealed class FileDescriptor : SafeHandle
{
    /// <summary>Takes ownership of an open descriptor.</summary>
    /// <param name="number">The descriptor, zero or above.</param>
    public FileDescriptor(int number)
        : base(-1, ownsHandle: true)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        SetHandle(number);
    }

    /// <summary>Makes an invalid descriptor.</summary>
    internal FileDescriptor()
        : base(-1, ownsHandle: true)
    {
    }

    /// <summary>Takes ownership of a descriptor that a peer sent. Its kind is not known, and closing it may wait for the peer.</summary>
    internal static FileDescriptor Received(int number, ForeignSender sender) => new(number) { IsUnknown = true, Sender = sender };

    /// <summary>Who sent it; null for nobody.</summary>
    private ForeignSender? Sender { get; init; }

    /// <summary>Whether it is not known to close at once.</summary>
    internal bool IsUnknown { get; set; }

    /// <inheritdoc/>
    public override bool IsInvalid => handle < 0;

    /// <summary>The number, for a system call made while this object is alive; -1 after it was closed, for the next file may have the same
    /// number.</summary>
    public int Number => (int)handle;

    /// <summary>A new descriptor of the same open file, close-on-exec.</summary>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public FileDescriptor Duplicate()
    {
        int copy = LibC.fcntl(Number, LibC.F_DUPFD_CLOEXEC, 0);
        return copy >= 0 ? new FileDescriptor(copy) : throw VfioException.FromLastError("dup", $"descriptor {Number}");
    }

    /// <summary>Takes ownership of a descriptor that this process was started with; its own children will not have it.</summary>
    /// <exception cref="VfioException">EBADF: there is no such descriptor.</exception>
    public static FileDescriptor Inherited(int number) => LibC.fcntl(number, LibC.F_SETFD, LibC.FD_CLOEXEC) == 0
        ? new FileDescriptor(number)
        : throw VfioException.FromLastError("use of a passed descriptor", $"descriptor {number}", "whoever starts this process opens it");

    /// <summary>A new descriptor of the same open file, which processes that this one starts will have.</summary>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public FileDescriptor DuplicateForChildren()
    {
        int copy = LibC.fcntl(Number, LibC.F_DUPFD, 0);
        return copy >= 0 ? new FileDescriptor(copy) : throw VfioException.FromLastError("dup", $"descriptor {Number}");
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        int number = (int)handle;
        bool mayStall = IsUnknown && ForeignFiles.CloseMayStall(this);
        SetHandle(-1);
        if (mayStall)
            ForeignFiles.CloseLater(number, Sender);
        else
            _ = LibC.close(number);
        return true;
    }
}
