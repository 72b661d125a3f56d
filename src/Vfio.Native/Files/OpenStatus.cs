using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Whether others have a file open.</summary>
internal static class OpenStatus
{
    private const int WriteLease = 1, NoLease = 2;

    /// <summary>Whether anybody has a file open beside the one open that this descriptor is of. Nobody is kept from opening it.</summary>
    /// <param name="file">A file of this user, opened for reading.</param>
    /// <remarks>The kernel gives a lease only to who is alone (fcntl(2), F_SETLEASE).</remarks>
    internal static bool IsOpenElsewhere(FileDescriptor file)
    {
        if (LibC.fcntl(file.Number, LibC.F_SETLEASE, WriteLease) != 0)
            return true;
        _ = LibC.fcntl(file.Number, LibC.F_SETLEASE, NoLease);
        return false;
    }
}
