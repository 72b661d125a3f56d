using Vfio.Native.Interop;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>What a system call with a path asks.</summary>
internal enum PathCallKind
{
    /// <summary>A descriptor.</summary>
    Open,

    /// <summary><c>struct stat</c>.</summary>
    Status,

    /// <summary><c>struct statx</c>.</summary>
    ExtendedStatus,

    /// <summary>Whether it may be used.</summary>
    Access,

    /// <summary>Where a link leads.</summary>
    ReadLink,

    /// <summary>Extended attributes.</summary>
    Attributes,
}

/// <summary>A system call with a path, or about what a descriptor is, whichever of the calls that do the same it is.</summary>
/// <param name="Kind">What it asks.</param>
/// <param name="Folder">Where a relative path starts.</param>
/// <param name="PathAddress">Where the path is in the program's memory.</param>
internal readonly record struct PathCall(PathCallKind Kind, int Folder, ulong PathAddress)
{
    private const int NotFollowed = LibC.AT_SYMLINK_NOFOLLOW, EmptyPath = LibC.AT_EMPTY_PATH;

    /// <summary>Of an open: its flags.</summary>
    internal int Flags { get; private init; }

    /// <summary>Of an access: R_OK, W_OK, X_OK. Of statx: its mask.</summary>
    internal int Mode { get; private init; }

    /// <summary>Whether a link at the end of the path is followed.</summary>
    internal bool Follows { get; private init; } = true;

    /// <summary>Whether it is about what <see cref="Folder"/> is, where the path is empty or there is none.</summary>
    internal bool MayBeOfDescriptor { get; private init; }

    /// <summary>Where the answer goes.</summary>
    internal ulong BufferAddress { get; private init; }

    /// <summary>How long it may be.</summary>
    internal ulong BufferBytes { get; private init; }

    /// <summary>Reads the arguments.</summary>
    internal static PathCall Of(in Notification call)
    {
        CallArguments a = call.Arguments;
        int folder = (int)a[0];
        switch (call.Number)
        {
            case SystemCall.Open:
                return new PathCall(PathCallKind.Open, LibC.AT_FDCWD, a[0]) { Flags = (int)a[1] };
            case SystemCall.Openat:
                return new PathCall(PathCallKind.Open, folder, a[1]) { Flags = (int)a[2] };
            case SystemCall.Openat2:
                Span<byte> how = stackalloc byte[sizeof(ulong)];
                int flags = ProcessMemory.TryRead(call.Thread, a[2], how) ? (int)BitConverter.ToUInt64(how) : 0;
                return new PathCall(PathCallKind.Open, folder, a[1]) { Flags = flags };
            case SystemCall.Stat:
                return new PathCall(PathCallKind.Status, LibC.AT_FDCWD, a[0]) { BufferAddress = a[1] };
            case SystemCall.Lstat:
                return new PathCall(PathCallKind.Status, LibC.AT_FDCWD, a[0]) { BufferAddress = a[1], Follows = false };
            case SystemCall.Fstat:
                return new PathCall(PathCallKind.Status, folder, 0) { BufferAddress = a[1], MayBeOfDescriptor = true };
            case SystemCall.Newfstatat:
                return new PathCall(PathCallKind.Status, folder, a[1])
                {
                    BufferAddress = a[2],
                    Follows = (a[3] & NotFollowed) == 0,
                    MayBeOfDescriptor = (a[3] & EmptyPath) != 0,
                };
            case SystemCall.Statx:
                return new PathCall(PathCallKind.ExtendedStatus, folder, a[1])
                {
                    BufferAddress = a[4],
                    Follows = (a[2] & NotFollowed) == 0,
                    MayBeOfDescriptor = (a[2] & EmptyPath) != 0,
                    Mode = (int)a[3],
                };
            case SystemCall.Access:
                return new PathCall(PathCallKind.Access, LibC.AT_FDCWD, a[0]) { Mode = (int)a[1] };
            case SystemCall.Faccessat:
                return new PathCall(PathCallKind.Access, folder, a[1]) { Mode = (int)a[2] };
            case SystemCall.Faccessat2:
                return new PathCall(PathCallKind.Access, folder, a[1]) { Mode = (int)a[2], Follows = (a[3] & NotFollowed) == 0 };
            case SystemCall.Readlink:
                return new PathCall(PathCallKind.ReadLink, LibC.AT_FDCWD, a[0]) { BufferAddress = a[1], BufferBytes = a[2] };
            case SystemCall.Getxattr or SystemCall.Lgetxattr or SystemCall.Listxattr or SystemCall.Llistxattr:
                return new PathCall(PathCallKind.Attributes, LibC.AT_FDCWD, a[0]);
            default:
                return new PathCall(PathCallKind.ReadLink, folder, a[1]) { BufferAddress = a[2], BufferBytes = a[3] };
        }
    }
}
