using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native.Sockets;

/// <summary>A connected UNIX stream socket that carries bytes and descriptors.</summary>
/// <remarks>Receive and send allocate nothing but the descriptors that arrive. One thread may send while another receives;
/// two senders, or two receivers, take turns by themselves. Any thread may call <see cref="Shutdown"/>.</remarks>
internal sealed unsafe class UnixSocket : IDisposable
{
    /// <summary>Most descriptors that one message carries (SCM_MAX_FD).</summary>
    public const int MaxDescriptors = 253;

    // struct cmsghdr (16 bytes), then the descriptors; CMSG_SPACE of the most.
    private const int ControlHeaderBytes = 16;
    private const int ControlBytes = ControlHeaderBytes + (MaxDescriptors * sizeof(int)) + sizeof(int);

    // How long a connect sleeps before it checks whether it was cancelled: nothing else wakes it.
    private static readonly TimeSpan CancellationPeriod = TimeSpan.FromMilliseconds(20);

    private readonly FileDescriptor _descriptor;
    private ForeignSender? _sender;

    /// <summary>Takes ownership of a connected socket.</summary>
    public UnixSocket(FileDescriptor descriptor)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        _descriptor = descriptor;
    }

    /// <summary>The socket's descriptor, to wait on; owned by this object.</summary>
    public FileDescriptor Descriptor => _descriptor;

    /// <summary>The user of the process that connected, or that listened, when it did.</summary>
    /// <exception cref="VfioException">The socket is closed.</exception>
    public uint PeerUserId => PeerCredential(1);

    /// <summary>The process that connected, or that listened, when it did; 0 for one that this process cannot see.</summary>
    /// <exception cref="VfioException">The socket is closed.</exception>
    public int PeerProcessId => (int)PeerCredential(0);

    /// <summary>The user's own group of the process that connected, or that listened, when it did.</summary>
    /// <exception cref="VfioException">The socket is closed.</exception>
    public uint PeerGroupId => PeerCredential(2);

    /// <summary>The other groups of the process that connected, or that listened, when it did (SO_PEERGROUPS, Linux 4.13).</summary>
    /// <returns>Empty on a kernel that does not keep them.</returns>
    public uint[] PeerGroups()
    {
        // The kernel says how long they are when they do not fit: at most NGROUPS_MAX, 65536.
        uint[] groups = new uint[32];
        for (int attempt = 0; attempt < 2; attempt++)
        {
            uint length = (uint)(groups.Length * sizeof(uint));
            fixed (uint* first = groups)
            {
                // SAFETY: the kernel writes at most length bytes.
                if (LibC.getsockopt(_descriptor.Number, LibC.SOL_SOCKET, LibC.SO_PEERGROUPS, first, &length) == 0)
                    return groups[..(int)(length / sizeof(uint))];
            }

            groups = new uint[length / sizeof(uint)];
        }

        return [];
    }

    /// <summary>Whether this is a UNIX stream socket, rather than another kind or no socket at all.</summary>
    public bool IsUnixStream => IsUnixStreamAt(_descriptor);

    /// <summary>Makes every later <see cref="Receive"/> that waits give up after a time, with <see cref="Errno.TryAgain"/>.</summary>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever, as it is at first.</param>
    /// <exception cref="VfioException">The socket is closed.</exception>
    public void SetReceiveTimeout(TimeSpan timeout) => SetTimeout(_descriptor, LibC.SO_RCVTIMEO, timeout);

    /// <summary>Connects to a server, for as long as it takes.</summary>
    /// <param name="path">The socket's file.</param>
    /// <exception cref="VfioException">No process listens there, or this user may not connect.</exception>
    public static UnixSocket Connect(string path) => Connect(path, Timeout.InfiniteTimeSpan);

    /// <summary>Connects to a server.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="timeout">How long to wait for a server whose backlog is full.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="VfioException">No process listens there, this user may not connect, or ETIMEDOUT.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static UnixSocket Connect(string path, TimeSpan timeout, CancellationToken cancellation = default)
    {
        SocketFile file;
        try
        {
            file = SocketFile.Find(path);
        }
        catch (VfioException refusal) when (refusal.Errno is not (Errno.InvalidArgument or Errno.TooManyLinks))
        {
            throw RefusalOf(path, refusal.Errno);
        }

        using (file)
            return Connect(file, path, timeout, cancellation);
    }

    /// <summary>Connects to the server of a socket that was found.</summary>
    internal static UnixSocket Connect(SocketFile file, string path, TimeSpan timeout, CancellationToken cancellation = default)
    {
        Deadline deadline = new(timeout);
        FileDescriptor descriptor = UnixAddress.NewSocket();
        try
        {
            UnixAddress address = file.Address;
            // A connect to a UNIX socket whose queue is full waits as a send does.
            while (true)
            {
                cancellation.ThrowIfCancellationRequested();
                TimeSpan period = cancellation.CanBeCanceled && (deadline.IsNever || deadline.Left > CancellationPeriod)
                    ? CancellationPeriod
                    : deadline.Left;
                SetTimeout(descriptor, LibC.SO_SNDTIMEO, period);
                if (LibC.connect(descriptor.Number, &address, UnixAddress.Length) == 0)
                    break;
                Errno error = (Errno)Marshal.GetLastPInvokeError();
                if (error is not (Errno.TryAgain or Errno.Interrupted) || deadline.HasPassed)
                    throw RefusalOf(path, error);
            }

            SetTimeout(descriptor, LibC.SO_SNDTIMEO, Timeout.InfiniteTimeSpan);
            return new UnixSocket(descriptor);
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    /// <summary>Who sends descriptors: the peer's user. To be said of a pair, whose ends this process has made.</summary>
    internal ForeignSender Sender
    {
        get => _sender ??= ForeignSender.Of(PeerUserId);
        set => _sender = value;
    }

    /// <summary>Makes two sockets that are connected to each other.</summary>
    /// <exception cref="VfioException">No descriptors left.</exception>
    public static (UnixSocket First, UnixSocket Second) CreatePair()
    {
        int* pair = stackalloc int[2];
        return LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_CLOEXEC, 0, pair) == 0
            ? (new UnixSocket(new FileDescriptor(pair[0])), new UnixSocket(new FileDescriptor(pair[1])))
            : throw VfioException.FromLastError("socketpair", "this process");
    }

    /// <summary>Receives what is there, and the descriptors that came with it.</summary>
    /// <param name="buffer">Where the bytes go; not empty.</param>
    /// <param name="descriptors">Where the descriptors are added; the caller owns them. Null to have the kernel drop what comes.</param>
    /// <param name="wait">Whether to wait when nothing is there.</param>
    /// <param name="error">Why the result is negative: <see cref="Errno.TryAgain"/> when nothing was there. With a result of 0 or more,
    /// <see cref="Errno.TooManyOpenFiles"/> when descriptors were dropped because this process has no free ones.</param>
    /// <returns>How many bytes; 0 when the peer closed; -1 with <paramref name="error"/>: <see cref="Errno.NoBuffers"/> when too many files of
    /// its user's do not close.</returns>
    [SkipLocalsInit] // The kernel writes what is read of the control buffer.
    public int Receive(Span<byte> buffer, DescriptorQueue? descriptors, bool wait, out Errno error)
    {
        byte* control = stackalloc byte[ControlBytes];
        fixed (byte* bytes = buffer)
        {
            LibC.IoVector vector = new() { Base = bytes, Length = (nuint)buffer.Length };
            LibC.MessageHeader message = new()
            {
                Vectors = &vector,
                VectorCount = 1,
                Control = descriptors is null ? null : control,
                ControlLength = descriptors is null ? 0u : ControlBytes,
            };
            nint count;
            do
            {
                count = MessageCalls.Receive(_descriptor.Number, &message, LibC.MSG_CMSG_CLOEXEC | (wait ? 0 : LibC.MSG_DONTWAIT));
            }
            while (count < 0 && Marshal.GetLastSystemError() == (int)Errno.Interrupted);
            error = count < 0 ? (Errno)Marshal.GetLastSystemError() : Errno.None;
            if (count >= 0 && descriptors is not null && message.ControlLength >= ControlHeaderBytes)
            {
                TakeDescriptors(control, message.ControlLength, descriptors);
                if (Sender.IsOverLimit)
                {
                    error = Errno.NoBuffers;
                    return -1;
                }
            }

            if (count >= 0 && (message.Flags & LibC.MSG_CTRUNC) != 0)
                error = Errno.TooManyOpenFiles;
            return (int)count;
        }
    }

    /// <summary>Sends bytes.</summary>
    /// <param name="bytes">What to send.</param>
    /// <param name="wait">Whether to wait while the peer's queue is full.</param>
    /// <param name="error">Why the result is negative: <see cref="Errno.TryAgain"/> when the queue is full.</param>
    /// <returns>How many bytes were taken, perhaps fewer than given; -1 with <paramref name="error"/>.</returns>
    public int Send(ReadOnlySpan<byte> bytes, bool wait, out Errno error)
    {
        fixed (byte* first = bytes)
        {
            nint count;
            do
            {
                count = MessageCalls.Send(_descriptor.Number, first, bytes.Length, LibC.MSG_NOSIGNAL | (wait ? 0 : LibC.MSG_DONTWAIT));
            }
            while (count < 0 && Marshal.GetLastSystemError() == (int)Errno.Interrupted);
            error = count < 0 ? (Errno)Marshal.GetLastSystemError() : Errno.None;
            return (int)count;
        }
    }

    /// <summary>Sends bytes, and descriptors with the first of them.</summary>
    /// <param name="first">Sent first.</param>
    /// <param name="second">Sent next; may be empty.</param>
    /// <param name="descriptors">Assigned for the call; at most <see cref="MaxDescriptors"/>.</param>
    /// <param name="wait">Whether to wait while the peer's queue is full.</param>
    /// <param name="error">Why the result is negative: <see cref="Errno.TryAgain"/> when the queue is full.</param>
    /// <returns>How many bytes were taken, perhaps fewer than given; -1 with <paramref name="error"/>.</returns>
    [SkipLocalsInit] // What the kernel reads of the control buffer is written first.
    public int Send(
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<FileDescriptor> descriptors, bool wait, out Errno error)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        fixed (byte* firstBytes = first, secondBytes = second)
        {
            LibC.IoVector* vectors = stackalloc LibC.IoVector[2];
            vectors[0] = new() { Base = firstBytes, Length = (nuint)first.Length };
            vectors[1] = new() { Base = secondBytes, Length = (nuint)second.Length };
            byte* control = stackalloc byte[ControlBytes];
            LibC.MessageHeader message = new() { Vectors = vectors, VectorCount = 2 };
            if (descriptors.Length > 0)
            {
                message.Control = control;
                message.ControlLength = PutDescriptors(control, descriptors);
            }

            nint count;
            do
            {
                count = LibC.sendmsg(_descriptor.Number, &message, LibC.MSG_NOSIGNAL | (wait ? 0 : LibC.MSG_DONTWAIT));
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == (int)Errno.Interrupted);
            error = count < 0 ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;
            return (int)count;
        }
    }

    /// <summary>Sends bytes, and after them part of shared memory without a copy on the way.</summary>
    /// <param name="first">Sent first; may be empty.</param>
    /// <param name="memory">Mapped memory; concurrent writes of other processes may or may not be sent.</param>
    /// <param name="offset">Where in the memory the part starts, in bytes.</param>
    /// <param name="count">Bytes of the part.</param>
    /// <param name="wait">Whether to wait while the peer's queue is full.</param>
    /// <param name="error">Why the result is negative: <see cref="Errno.TryAgain"/> when the queue is full.</param>
    /// <returns>How many bytes were taken, perhaps fewer than given; -1 with <paramref name="error"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The part leaves the memory, or that is not mapped.</exception>
    public int Send(ReadOnlySpan<byte> first, SharedMemory memory, ulong offset, int count, bool wait, out Errno error)
    {
        ArgumentNullException.ThrowIfNull(memory);
        // SAFETY: AddressOf checked the range; the kernel only reads it, and answers EFAULT where the file was cut off.
        return Send(first, new ReadOnlySpan<byte>(memory.AddressOf(offset, count), count), default, wait, out error);
    }

    /// <summary>Ends the connection both ways; a receive or send that waits in another thread returns.</summary>
    public void Shutdown() => _ = LibC.shutdown(_descriptor.Number, LibC.SHUT_RDWR);

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    private static VfioException RefusalOf(string path, Errno error) => error is Errno.TryAgain or Errno.Interrupted
        ? new VfioException("connect", path, Errno.TimedOut, "a server listens there but takes no client; it may be busy with others, or stuck")
        : new VfioException("connect", path, error, "check that a server runs and that this user may write to its socket");

    /// <summary>Whether a descriptor is a UNIX stream socket, connected or listening.</summary>
    internal static bool IsUnixStreamAt(FileDescriptor descriptor) =>
        OptionOf(descriptor, LibC.SO_DOMAIN) == LibC.AF_UNIX && OptionOf(descriptor, LibC.SO_TYPE) == LibC.SOCK_STREAM;

    /// <summary>A number that the kernel keeps of the socket; -1 when this is none.</summary>
    private static int OptionOf(FileDescriptor descriptor, int option)
    {
        int value = -1;
        uint length = sizeof(int);

        // SAFETY: the kernel writes at most length bytes.
        return LibC.getsockopt(descriptor.Number, LibC.SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
    }

    private uint PeerCredential(int index)
    {
        // struct ucred: pid, uid, gid.
        uint* credentials = stackalloc uint[3];
        uint length = 3 * sizeof(uint);
        return LibC.getsockopt(_descriptor.Number, LibC.SOL_SOCKET, LibC.SO_PEERCRED, credentials, &length) == 0
            ? credentials[index]
            : throw VfioException.FromLastError("asking for the peer's user", "a socket");
    }

    private static void SetTimeout(FileDescriptor socket, int option, TimeSpan timeout)
    {
        Deadline.ThrowIfInvalid(timeout);
        // struct timeval; zero means for ever, so the shortest time is a microsecond.
        long microseconds = timeout < TimeSpan.Zero ? 0 : Math.Max(1, (long)timeout.TotalMicroseconds);
        long* value = stackalloc long[2] { microseconds / 1_000_000, microseconds % 1_000_000 };
        if (LibC.setsockopt(socket.Number, LibC.SOL_SOCKET, option, value, 2 * sizeof(long)) != 0)
            throw VfioException.FromLastError("setsockopt", "a socket");
    }

    private void TakeDescriptors(byte* control, nuint controlLength, DescriptorQueue descriptors)
    {
        // The kernel writes whole headers, each padded to 8 bytes; only SCM_RIGHTS is ever asked for on this socket.
        nuint at = 0;
        while (at + ControlHeaderBytes <= controlLength)
        {
            nuint length = *(nuint*)(control + at);
            bool rights = *(int*)(control + at + 8) == LibC.SOL_SOCKET && *(int*)(control + at + 12) == LibC.SCM_RIGHTS;
            if (length < ControlHeaderBytes || length > controlLength - at)
                return;
            if (rights)
            {
                int* numbers = (int*)(control + at + ControlHeaderBytes);
                for (nuint i = 0; i < (length - ControlHeaderBytes) / sizeof(int); i++)
                    descriptors.Add(FileDescriptor.Received(numbers[i], Sender));
            }

            at += (length + 7) & ~(nuint)7;
        }
    }

    private static nuint PutDescriptors(byte* control, ReadOnlySpan<FileDescriptor> descriptors)
    {
        nuint length = (nuint)(ControlHeaderBytes + (descriptors.Length * sizeof(int)));
        *(nuint*)control = length;
        *(int*)(control + 8) = LibC.SOL_SOCKET;
        *(int*)(control + 12) = LibC.SCM_RIGHTS;
        for (int i = 0; i < descriptors.Length; i++)
            *(int*)(control + ControlHeaderBytes + (i * sizeof(int))) = descriptors[i].Number;
        return (length + 7) & ~(nuint)7;
    }
}
