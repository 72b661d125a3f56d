using System.Runtime.InteropServices;

namespace Vfio.Native.Interop;

/// <summary>The C library's system calls, with blittable arguments only: no marshalling, no allocation.</summary>
internal static unsafe partial class LibC
{
    internal const int F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, FD_CLOEXEC = 1;
    internal const int F_DUPFD_CLOEXEC = 1030, F_GETFL = 3, F_SETFL = 4, F_ADD_SEALS = 1033, F_GET_SEALS = 1034, F_SETLEASE = 1024;
    internal const int O_ACCMODE = 3, O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    internal const int F_GETLK = 5, F_SETLK = 6, F_OFD_SETLK = 37;
    internal const short F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
    internal const int R_OK = 4, W_OK = 2;
    internal static readonly int O_DIRECTORY = IsArm64 ? 0x4000 : 0x10000, O_NOFOLLOW = IsArm64 ? 0x8000 : 0x20000;
    internal const int O_CREAT = 0x40, O_EXCL = 0x80, O_PATH = 0x200000;
    internal const int AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_EMPTY_PATH = 0x1000;
    internal const int AT_STATX_DONT_SYNC = 0x4000, AT_NO_AUTOMOUNT = 0x800;
    internal const uint STATX_BASIC_STATS = 0x7ff;
    internal const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2, FALLOC_FL_ZERO_RANGE = 0x10;
    internal const int LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8;
    internal const int F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;
    internal const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_HUGE_2MB = 21u << 26;
    internal const int EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;
    internal const int PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
    internal const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000, SOCK_NONBLOCK = 0x800, SOL_SOCKET = 1, SCM_RIGHTS = 1;
    internal const int MSG_CTRUNC = 8, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000;
    internal const int SHUT_RDWR = 2, SO_TYPE = 3, SO_DOMAIN = 39, SO_PEERCRED = 17, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SO_ACCEPTCONN = 30, SO_PEERGROUPS = 59, SOCK_DGRAM = 2;
    internal const int EPOLL_CLOEXEC = 0x80000, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;
    internal const uint EPOLLIN = 1, EPOLLONESHOT = 1u << 30, EPOLLET = 1u << 31;
    internal const int CLOCK_MONOTONIC = 1, TFD_CLOEXEC = 0x80000, TFD_NONBLOCK = 0x800;
    internal const short POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16;
    internal const int SIGSTKFLT = 16, SIGURG = 23, SIG_DFL = 0, SIG_IGN = 1, SIG_UNBLOCK = 1;
    internal const int RWF_NOWAIT = 8;
    internal const uint S_IFMT = 0xf000;
    internal const nuint BLKGETSIZE64 = 0x8008_1272, BLKSSZGET = 0x1268, BLKROGET = 0x125e;
    private static bool IsArm64 => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int openat(int directory, string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fcntl(int descriptor, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int sched_getscheduler(int thread);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int sched_setscheduler(int thread, int policy, int* priority);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint read(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint preadv2(int descriptor, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint write(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pread(int descriptor, void* buffer, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pwrite(int descriptor, void* buffer, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ftruncate(int descriptor, long length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fsync(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fallocate(int descriptor, int mode, long offset, long length);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int timerfd_create(int clock, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int timerfd_settime(int descriptor, int flags, TimerSetting* setting, TimerSetting* previous);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int nanosleep(TimerTime* wanted, TimerTime* left);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial void* mmap(void* address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int munmap(void* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int sigaction(int signal, void* action, void* previous);

    [LibraryImport("libc")]
    internal static partial int pthread_sigmask(int how, ulong* set, ulong* previous);

    [LibraryImport("libc")]
    internal static partial int gettid();

    [LibraryImport("libc")]
    internal static partial int tgkill(int process, int thread, int signal);

    // Without errno: the caller checks its condition again, whatever ended the wait.
    [LibraryImport("libc")]
    internal static partial int poll(PollEntry* entries, nuint count, int timeoutMilliseconds);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_ctl(int poller, int operation, int descriptor, byte* entry);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_wait(int poller, byte* entries, int count, int timeoutMilliseconds);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int socketpair(int domain, int type, int protocol, int* pair);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int bind(int descriptor, void* address, uint length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int listen(int descriptor, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int accept4(int descriptor, void* address, uint* length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int connect(int descriptor, void* address, uint length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int shutdown(int descriptor, int how);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setsockopt(int descriptor, int level, int name, void* value, uint length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int getsockopt(int descriptor, int level, int name, void* value, uint* length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint sendmsg(int descriptor, MessageHeader* message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint recv(int descriptor, void* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int directory, string path, int flags, uint mask, byte* status);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkdirat(int directory, string path, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int linkat(int oldDirectory, string oldPath, int newDirectory, string newPath, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int unlinkat(int directory, string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int fchmodat(int directory, string path, uint mode, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int fchownat(int directory, string path, uint user, uint group, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint readlinkat(int directory, string path, byte* buffer, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int flock(int descriptor, int operation);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial byte* getpwnam(string name);

    [LibraryImport("libc")]
    internal static partial uint geteuid();

    [LibraryImport("libc")]
    internal static partial uint getegid();

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int access(string path, int mode);

    /// <summary><c>struct pollfd</c>.</summary>
    internal struct PollEntry
    {
        internal int Descriptor;
        internal short Events;
        internal short Returned;
    }

    /// <summary><c>struct flock</c> of 64-bit Linux.</summary>
    internal struct RecordLock
    {
        internal short Type;
        internal short Whence;
        internal long Start;
        internal long Length;
        internal int Process;
    }

    /// <summary><c>struct timespec</c>.</summary>
    internal struct TimerTime
    {
        internal long Seconds;
        internal long Nanoseconds;
    }

    /// <summary><c>struct itimerspec</c>.</summary>
    internal struct TimerSetting
    {
        internal TimerTime Interval;
        internal TimerTime First;
    }

    /// <summary><c>struct sigaction</c> of the C library on 64-bit Linux.</summary>
    internal struct SignalAction
    {
        internal nint Handler;
        internal fixed ulong Mask[16];
        internal int Flags;
        internal nint Restorer;
    }

    /// <summary><c>struct iovec</c>.</summary>
    internal struct IoVector
    {
        internal void* Base;
        internal nuint Length;
    }

    /// <summary><c>struct msghdr</c> of 64-bit Linux.</summary>
    internal struct MessageHeader
    {
        internal void* Name;
        internal uint NameLength;
        internal IoVector* Vectors;
        internal nuint VectorCount;
        internal void* Control;
        internal nuint ControlLength;
        internal int Flags;
    }
}
