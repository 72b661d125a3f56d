using Vfio.Native.Interop;

namespace Vfio.Native.Memory;

/// <summary>Makes anonymous files in memory that two processes can share.</summary>
internal static class MemoryFile
{
    /// <summary>Makes a zeroed memory file whose size is sealed, so that it cannot be truncated under a mapping.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public static FileDescriptor Create(string name, ulong lengthBytes) => Create(name, lengthBytes, 0);

    internal static FileDescriptor Create(string name, ulong lengthBytes, uint flags)
    {
        FileDescriptor file = CreateUnsealed(name, lengthBytes, flags);
        if (LibC.fcntl(file.Number, LibC.F_ADD_SEALS, LibC.F_SEAL_SHRINK | LibC.F_SEAL_GROW | LibC.F_SEAL_SEAL) == 0)
            return file;
        file.Dispose();
        throw VfioException.FromLastError("fcntl(F_ADD_SEALS)", name);
    }

    /// <summary>Makes a zeroed memory file that every process which has it open can still resize, as many clients of this protocol
    /// do.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public static FileDescriptor CreateUnsealed(string name, ulong lengthBytes) => CreateUnsealed(name, lengthBytes, 0);

    private static FileDescriptor CreateUnsealed(string name, ulong lengthBytes, uint flags)
    {
        int number = LibC.memfd_create(name, LibC.MFD_CLOEXEC | LibC.MFD_ALLOW_SEALING | flags);
        if (number < 0)
            throw VfioException.FromLastError("memfd_create", name);
        FileDescriptor file = new(number);
        if (LibC.ftruncate(number, checked((long)lengthBytes)) == 0)
            return file;
        file.Dispose();
        throw VfioException.FromLastError($"ftruncate to {lengthBytes} bytes", name);
    }

    /// <summary>Sets the size of a file.</summary>
    /// <exception cref="VfioException">It is sealed, or not a file of this kind.</exception>
    public static void Resize(FileDescriptor file, ulong lengthBytes)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (LibC.ftruncate(file.Number, checked((long)lengthBytes)) != 0)
            throw VfioException.FromLastError($"ftruncate to {lengthBytes} bytes", $"descriptor {file.Number}");
    }
}
