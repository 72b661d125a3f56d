using Vfio.Native.Interop;

namespace Vfio.Native;

/// <summary>A user of this machine.</summary>
/// <param name="Name">Login name.</param>
/// <param name="UserId">Number of the user.</param>
/// <param name="GroupId">Number of the user's own group.</param>
public readonly record struct UserAccount(string Name, uint UserId, uint GroupId)
{
    // The library has one entry for all threads.
    private static readonly Lock Entries = new();

    /// <summary>Whether this process runs as root.</summary>
    public static bool IsRoot => LibC.geteuid() == 0;

    /// <summary>The user that this process acts as.</summary>
    public static uint CurrentId => LibC.geteuid();

    /// <summary>The group that this process acts as.</summary>
    internal static uint CurrentGroupId => LibC.getegid();

    /// <summary>Looks a user up, as login does (getpwnam).</summary>
    /// <exception cref="VfioException">ENOENT: there is no such user.</exception>
    public static unsafe UserAccount Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        // struct passwd of 64-bit Linux: two pointers (name, password), then uid and gid.
        byte* entry = LibC.getpwnam(name);
        return entry is not null
            ? new UserAccount(name, *(uint*)(entry + 16), *(uint*)(entry + 20))
            : throw new VfioException("look-up of user", name, Errno.NoEntry, "see 'getent passwd'");
    }

    /// <summary>The name of a user, or its number where it has none.</summary>
    public static unsafe string NameOf(uint userId)
    {
        lock (Entries)
        {
            byte* entry = FileCalls.getpwuid(userId);
            return entry is null ? $"{userId}" : new string(*(sbyte**)entry);
        }
    }

    /// <summary>The name of a group, or its number where it has none.</summary>
    public static unsafe string NameOfGroup(uint groupId)
    {
        byte* entry = FileCalls.getgrgid(groupId);
        return entry is null ? $"{groupId}" : new string(*(sbyte**)entry);
    }

    /// <summary>Looks a group up by its name (getgrnam).</summary>
    /// <returns>Null when there is no such group.</returns>
    internal static unsafe uint? FindGroup(string name)
    {
        // struct group of 64-bit Linux: two pointers (name, password), then gid.
        byte* entry = FileCalls.getgrnam(name);
        return entry is null ? null : *(uint*)(entry + 16);
    }

    /// <summary>All groups of this user, its own included, as login would set them.</summary>
    internal unsafe uint[] FindGroups()
    {
        int count = 64;
        while (true)
        {
            uint[] groups = new uint[count];
            int given = count;
            fixed (uint* first = groups)
            {
                // SAFETY: the library writes at most count numbers, and then how many there are.
                if (FileCalls.getgrouplist(Name, GroupId, first, &count) >= 0)
                    return groups[..count];
            }

            if (count <= given)
                return [GroupId];
        }
    }

    /// <summary>Makes this user the owner of a file; of a symbolic link itself.</summary>
    /// <exception cref="VfioException">EPERM: only root may.</exception>
    public void TakeOwnership(string path)
    {
        if (LibC.fchownat(LibC.AT_FDCWD, path, UserId, GroupId, LibC.AT_SYMLINK_NOFOLLOW) != 0)
            throw VfioException.FromLastError($"giving to {Name}", path, "only root may give files away");
    }
}
