using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A device's file in <c>/dev</c>, used only where it is that device's: kind and number are compared first, and links are not followed.</summary>
internal static class DeviceNode
{
    /// <summary>Asks the kernel whether a block device has an exclusive user: a file system, swap, RAID, LVM, or a program.</summary>
    /// <remarks>open(2) with O_RDONLY and O_EXCL, closed at once. Nothing is created or written, and removable media are not waited for.</remarks>
    /// <param name="path">Its node.</param>
    /// <param name="number">The number that sysfs gives the device.</param>
    /// <returns>None: nobody has it; EBUSY: in use; ENOENT: there is no node, or it is another device's; any other errno: the kernel did not say.</returns>
    public static Errno AskExclusive(string path, DeviceNumber number)
    {
        ArgumentNullException.ThrowIfNull(path);
        using FileDescriptor? node = Find(path, FileKind.BlockDevice, number, out Errno error);
        if (node is null)
            return error;
        int opened = FileCalls.openat(
            LibC.AT_FDCWD, $"/proc/self/fd/{node.Number}", LibC.O_RDONLY | LibC.O_EXCL | LibC.O_CLOEXEC | LibC.O_NONBLOCK, 0);
        if (opened < 0)
            return (Errno)Marshal.GetLastPInvokeError();
        _ = LibC.close(opened);
        return Errno.None;
    }

    /// <summary>Changes the owner of a character device's node.</summary>
    /// <param name="path">Its node.</param>
    /// <param name="number">The number that sysfs gives the device.</param>
    /// <param name="userId">The new owner.</param>
    /// <param name="groupId">The new group.</param>
    /// <exception cref="VfioException">EPERM: only root may; ENOENT: there is no node, or it is another device's.</exception>
    public static void ChangeOwner(string path, DeviceNumber number, uint userId, uint groupId)
    {
        ArgumentNullException.ThrowIfNull(path);
        using FileDescriptor? node = Find(path, FileKind.CharacterDevice, number, out Errno error);
        if (node is null)
            throw new VfioException("changing the owner", path, error, $"it is not the node of device {number}");
        if (FileCalls.fchownat(node.Number, "", userId, groupId, LibC.AT_EMPTY_PATH) != 0)
            throw VfioException.FromLastError("changing the owner", path, "only root may");
    }

    /// <summary>Whether this process may write to a file: None, or the reason why not.</summary>
    public static Errno MayWrite(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return LibC.access(path, LibC.W_OK) == 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
    }

    /// <summary>Finds a node without opening the device (O_PATH).</summary>
    private static FileDescriptor? Find(string path, FileKind kind, DeviceNumber number, out Errno error)
    {
        error = Errno.None;
        int found = FileCalls.openat(LibC.AT_FDCWD, path, LibC.O_PATH | LibC.O_NOFOLLOW | LibC.O_CLOEXEC, 0);
        if (found < 0)
        {
            error = (Errno)Marshal.GetLastPInvokeError();
            return null;
        }

        FileDescriptor node = new(found);
        FileStatus status = FileStatus.Of(found);
        if (status.Kind == kind && status.Number == number)
            return node;
        node.Dispose();
        error = Errno.NoEntry;
        return null;
    }
}
