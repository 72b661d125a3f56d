using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User;

/// <summary>Where a server listens, and its limits.</summary>
public sealed record VfioUserServerOptions
{
    /// <summary>The socket's file. Made with mode 0660; a stale one is replaced.</summary>
    public string? Path { get; init; }

    /// <summary>The owner that the file at <see cref="Path"/> gets before a client can see it; needs root. Null: the owner stays.</summary>
    public UserAccount? Owner { get; init; }

    /// <summary>A socket that listens already, as a service manager or a predecessor passes it; owned by the server. With
    /// <see cref="Path"/> set too, that file is removed at the end.</summary>
    public FileDescriptor? Listener { get; init; }

    /// <summary>The socket file where a successor, of the same user or root, may ask to take over; a file of its own beside the
    /// server's socket. Null for none.</summary>
    public string? HandoverPath { get; init; }

    /// <summary>The <see cref="HandoverPath"/> of a server that this one takes over from: with its listening socket, its client and its
    /// device's state. <see cref="Path"/> and <see cref="Listener"/> are then that server's.</summary>
    public string? TakeOverPath { get; init; }

    /// <summary>Largest data part of one message in bytes, in both directions: 4 KiB to 1 MiB. It bounds the memory that a client can make
    /// the server use.</summary>
    public int MaxDataTransferBytes { get; init; } = Protocol.DefaultDataTransferBytes;

    /// <summary>Live mappings of one client, at most 65535.</summary>
    public int MaxDmaMaps { get; init; } = Protocol.DefaultDmaMaps;

    /// <summary>The most bytes that one client may have mapped at a time; ENOMEM beyond it. Default: no limit.</summary>
    internal ulong MaxMappedBytes { get; init; } = ulong.MaxValue;

    /// <summary>Different files that one client's mappings may keep open at a time; each costs the process a descriptor.</summary>
    public int MaxSharedFiles { get; init; } = 512;

    /// <summary>Whether DMA_MAP accepts files whose every access waits for a process or another machine: of FUSE, NFS, 9p, overlay and
    /// all file systems that are not known to be local. Default: no (EPERM), since the server of such a file can block the device for
    /// ever.</summary>
    public bool AllowStallingFiles { get; init; }

    /// <summary>How long a client may take from connecting to the end of its VERSION; 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a message may take from its first to its last byte; 30 s.</summary>
    public TimeSpan MessageTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may take to read what is sent to it before it is dropped; 30 s.</summary>
    public TimeSpan SendTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may take to answer DMA_READ or DMA_WRITE before the device's access fails with ETIMEDOUT; 10 s.</summary>
    public TimeSpan DmaTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may send nothing between messages. Default: for ever, as in the protocol. A finite time costs a system
    /// call for each message.</summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How long a client may keep others waiting while it does not use the device, that is, has no memory mapped and never bound
    /// an
    /// interrupt, whatever messages it sends: above zero. Default: for ever.</summary>
    /// <remarks>It counts from when a client waits in the backlog and all places are taken. A client that has memory mapped or an interrupt
    /// bound, such as a virtual machine, uses the device even when it sends nothing for days, and is never disconnected for
    /// others.</remarks>
    public TimeSpan ContendedIdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How many clients are served at a time, each on a thread of its own. Default: 1. The function that opens the device is
    /// called for
    /// each, and must return a device of its own for each. A server with more than one cannot be handed over.</summary>
    public int MaxClients { get; init; } = 1;

    /// <summary>How long a session polls for the next message before it sleeps. Zero: never; infinite: it never sleeps, and
    /// occupies a core. Default: 100 µs.</summary>
    /// <remarks>A polling thread answers a client on another core without a wakeup, which takes tens of microseconds. The
    /// session measures whether polling pays off: with a client that is slow, or shares its core, it soon sleeps at once.</remarks>
    public TimeSpan SpinTime { get; init; } = Spinner.DefaultTime;

    /// <summary>Whether a session's thread may use SCHED_BATCH, so that its wakeup does not preempt the client. Default: yes.</summary>
    /// <remarks>That is faster where both share a core, for a client that sends and then waits. The session measures that:
    /// where a third program uses the core, it soon returns to the normal policy. At the end of the session its thread has its former
    /// policy.</remarks>
    public bool LeavesCoreToClient { get; init; } = true;

    /// <summary>Captures the messages of all clients; the caller disposes it after the server. Null, the default, for none: a message then
    /// costs nothing more.</summary>
    public VfioUserCapture? Capture { get; init; }

    /// <summary>Logs refused clients (warning), faults (error), and sessions and refused messages (debug).</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Whether clients reach regions by messages alone: a client keeps the file of a region for as long as it likes, also when
    /// its session was ended for it.</summary>
    internal bool KeepsFiles { get; init; }

    /// <summary>Bytes of the largest message.</summary>
    internal int MaxMessageBytes => MaxDataTransferBytes + Protocol.OverheadBytes;

    /// <summary>Throws when a number is out of its range.</summary>
    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxDataTransferBytes, 4096, nameof(MaxDataTransferBytes));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxDataTransferBytes, Protocol.DefaultDataTransferBytes, nameof(MaxDataTransferBytes));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxDmaMaps, 1, nameof(MaxDmaMaps));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxDmaMaps, Protocol.DefaultDmaMaps, nameof(MaxDmaMaps));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxSharedFiles, 1, nameof(MaxSharedFiles));
        Deadline.ThrowIfInvalid(HandshakeTimeout);
        Deadline.ThrowIfInvalid(MessageTimeout);
        Deadline.ThrowIfInvalid(SendTimeout);
        Deadline.ThrowIfInvalid(DmaTimeout);
        Deadline.ThrowIfInvalid(IdleTimeout);
        Deadline.ThrowIfInvalid(ContendedIdleTimeout);
        ArgumentOutOfRangeException.ThrowIfEqual(ContendedIdleTimeout, TimeSpan.Zero, nameof(ContendedIdleTimeout));
        Deadline.ThrowIfInvalid(SpinTime);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxClients, 1, nameof(MaxClients));
        if (MaxClients > 1 && (HandoverPath is not null || TakeOverPath is not null))
            throw new ArgumentException("a server of several clients cannot be handed over", nameof(MaxClients));
        if (TakeOverPath is not null && (Path is not null || Listener is not null))
            throw new ArgumentException("a server that takes over listens where its predecessor did: set no path or listener", nameof(TakeOverPath));
        if (HandoverPath is not null && TakeOverPath is null && Path is null && Listener is null)
            throw new ArgumentException("a server that does not listen cannot be handed over", nameof(HandoverPath));
    }
}
