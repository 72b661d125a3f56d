using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>System calls by which one process starts another, sees what it does and answers in the kernel's place.</summary>
internal static unsafe partial class TraceCalls
{
    internal const int WaitAnyKind = 0x40000000, WaitOwnThread = 0x20000000;
    internal const int PosixSpawnSetSignalDefaults = 4;
    internal const int DeletedItself = 0x400, EventsLost = 0x4000, WatchEnded = 0x8000, NonBlocking = 0x800, CloseOnExec = 0x80000;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint ptrace(nint request, nint thread, nint address, void* data);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int waitpid(int process, int* status, int options);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint process_vm_readv(int process, LibC.IoVector* local, nuint locals, LibC.IoVector* remote, nuint remotes, nuint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint process_vm_writev(int process, LibC.IoVector* local, nuint locals, LibC.IoVector* remote, nuint remotes, nuint flags);

    // By number: the C library of many systems has no name for them.
    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);

    // The error is what it returns.
    [LibraryImport("libc")]
    internal static partial int posix_spawn(int* process, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_adddup2(byte* actions, int descriptor, int number);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addchdir_np")]
    internal static partial int posix_spawn_file_actions_addchdir(byte* actions, byte* path);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc")]
    internal static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport("libc")]
    internal static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport("libc")]
    internal static partial int posix_spawnattr_setsigdefault(byte* attributes, ulong* signals);

    [LibraryImport("libc")]
    internal static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int pipe2(int* pair, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint vmsplice(int pipe, LibC.IoVector* vectors, nuint count, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int inotify_init1(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int inotify_add_watch(int watcher, string path, uint events);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int kill(int process, int signal);
}
