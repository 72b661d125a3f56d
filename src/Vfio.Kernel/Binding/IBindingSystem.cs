using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>The operations of binding on this machine, other than reads of sysfs and procfs.</summary>
/// <remarks>All changes go through this interface, so a test can refuse any of them.</remarks>
internal interface IBindingSystem
{
    /// <summary>Whether this process may read everything: other users' processes, and whether disks are in use.</summary>
    bool IsPrivileged { get; }

    /// <summary>Whether a block device has an exclusive user.</summary>
    /// <returns>EBUSY: it has; ENOENT, EACCES, EPERM: unknown; any other errno: it has none.</returns>
    Errno AskExclusive(string node, DeviceNumber number);

    /// <summary>The status of a file; null when there is none. Never waits for a file server.</summary>
    FileStatus? StatusOf(string path, bool follow);

    /// <summary>Whether a file can be written: None, or why not.</summary>
    Errno MayWrite(string path);

    /// <summary>Writes an attribute of a function.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    void WriteAttribute(KernelFunction function, string name, string value);

    /// <summary>Changes the owner of a device's node.</summary>
    /// <exception cref="VfioException">The kernel refused, or the file is not a node of that device.</exception>
    void ChangeOwner(string node, DeviceNumber number, uint userId, uint groupId);

    /// <summary>Reads a small file of a folder of records; null when there is none, or its owner is not trusted.</summary>
    byte[]? ReadRecord(string folder, string name);

    /// <summary>Writes a file of a folder of records whole; null removes it.</summary>
    /// <exception cref="VfioException">The file system refused.</exception>
    void WriteRecord(string folder, string name, byte[]? content);

    /// <summary>Keeps other processes from binding and releasing, until disposed.</summary>
    /// <exception cref="VfioException">EAGAIN: another process is binding or releasing.</exception>
    IDisposable Lock(string folder);
}
