namespace Vfio;

/// <summary>Linux error numbers that this library raises or answers with.</summary>
/// <remarks>The values of <c>asm-generic/errno-base.h</c> and <c>asm-generic/errno.h</c>, which x86-64 and arm64 share.
/// Any other number that the kernel or a peer returns is kept as it is.</remarks>
public enum Errno
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>EPERM: not allowed, whatever the file mode says.</summary>
    OperationNotPermitted = 1,

    /// <summary>ENOENT: no such file, device or mapping.</summary>
    NoEntry = 2,

    /// <summary>EINTR: a signal came first.</summary>
    Interrupted = 4,

    /// <summary>EIO: the device did not answer.</summary>
    InputOutput = 5,

    /// <summary>ENXIO: no such device or address.</summary>
    NoDeviceOrAddress = 6,

    /// <summary>E2BIG: more than is taken at once, or a part of a struct set that is not known.</summary>
    TooBig = 7,

    /// <summary>ENOEXEC: no program that this machine executes.</summary>
    NotExecutable = 8,

    /// <summary>EBADF: not an open descriptor, or not open for this.</summary>
    BadDescriptor = 9,

    /// <summary>EAGAIN: nothing there yet.</summary>
    TryAgain = 11,

    /// <summary>ENOMEM: out of memory, or over a limit such as RLIMIT_MEMLOCK.</summary>
    NoMemory = 12,

    /// <summary>EACCES: the mode or the mapping does not allow it.</summary>
    AccessDenied = 13,

    /// <summary>EFAULT: an address that is not mapped.</summary>
    BadAddress = 14,

    /// <summary>EBUSY: in use.</summary>
    Busy = 16,

    /// <summary>EEXIST: already there.</summary>
    Exists = 17,

    /// <summary>ENODEV: the device is gone.</summary>
    NoDevice = 19,

    /// <summary>ENOTDIR: a part of a path that is no directory.</summary>
    NotDirectory = 20,

    /// <summary>EISDIR: a directory where a file is wanted.</summary>
    IsDirectory = 21,

    /// <summary>EINVAL: an argument out of its range.</summary>
    InvalidArgument = 22,

    /// <summary>ENFILE: this machine has too many open files.</summary>
    FileTableFull = 23,

    /// <summary>EMFILE: this process has too many open files.</summary>
    TooManyOpenFiles = 24,

    /// <summary>ENOTTY: the device has no such operation.</summary>
    NoSuchOperation = 25,

    /// <summary>EFBIG: a file that is too large.</summary>
    FileTooLarge = 27,

    /// <summary>ENOSPC: no space left.</summary>
    NoSpace = 28,

    /// <summary>EROFS: a file system that cannot be written to.</summary>
    ReadOnlyFileSystem = 30,

    /// <summary>EPIPE: the reader is gone.</summary>
    BrokenPipe = 32,

    /// <summary>ERANGE: a result that does not fit.</summary>
    OutOfRange = 34,

    /// <summary>ENAMETOOLONG: a path or a name that is too long.</summary>
    NameTooLong = 36,

    /// <summary>ENOSYS: not implemented.</summary>
    NotImplemented = 38,

    /// <summary>ELOOP: symbolic links that are not followed.</summary>
    TooManyLinks = 40,

    /// <summary>ENOMSG: nothing of that kind, for now.</summary>
    NoMessage = 42,

    /// <summary>EPROTO: the peer broke the protocol.</summary>
    Protocol = 71,

    /// <summary>EOVERFLOW: a range that wraps.</summary>
    Overflow = 75,

    /// <summary>EBADFD: an open descriptor of another kind.</summary>
    BadDescriptorKind = 77,

    /// <summary>EMSGSIZE: a message larger than was agreed.</summary>
    MessageTooLong = 90,

    /// <summary>EOPNOTSUPP: not supported.</summary>
    NotSupported = 95,

    /// <summary>EADDRINUSE: another process listens there.</summary>
    AddressInUse = 98,

    /// <summary>ECONNABORTED: the connection ended before it was used.</summary>
    ConnectionAborted = 103,

    /// <summary>ECONNRESET: the peer went away.</summary>
    ConnectionReset = 104,

    /// <summary>ENOBUFS: no space in the peer's queue.</summary>
    NoBuffers = 105,

    /// <summary>ENOTCONN: not connected.</summary>
    NotConnected = 107,

    /// <summary>ESHUTDOWN: shut down by this side.</summary>
    Shutdown = 108,

    /// <summary>ETIMEDOUT: the peer did not answer in time.</summary>
    TimedOut = 110,

    /// <summary>ECONNREFUSED: no process listens there.</summary>
    ConnectionRefused = 111,

    /// <summary>EHOSTUNREACH: no station there answers.</summary>
    HostUnreachable = 113,

    /// <summary>EINPROGRESS: begun, and not over yet.</summary>
    InProgress = 115,
}
