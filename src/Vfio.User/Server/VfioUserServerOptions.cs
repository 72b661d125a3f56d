using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User;

/// <summary>Where a server listens and how much it bears.</summary>
public sealed record VfioUserServerOptions
{
    /// <summary>The socket's file. Made with mode 0660; a stale one is replaced.</summary>
    public string? Path { get; init; }

    /// <summary>To whom the file at <see cref="Path"/> is given before a client can see it; root only. Null: to nobody.</summary>
    public UserAccount? Owner { get; init; }

    /// <summary>A socket that listens already, as a service manager or a predecessor passes it; owned by the server. With
    /// <see cref="Path"/> too, that is the socket's file, to be removed at the end.</summary>
    public FileDescriptor? Listener { get; init; }

    /// <summary>Where a successor may ask to go on in place of the server, of the same user or root: a file of its own, beside the
    /// server's socket. Null for nowhere.</summary>
    public string? HandoverPath { get; init; }

    /// <summary>Where a server waits that this one goes on in place of: with its listening socket, its client and its device's state.
    /// <see cref="Path"/> and <see cref="Listener"/> are that server's then.</summary>
    public string? TakeOverPath { get; init; }

    /// <summary>Largest data part of one message in bytes, both ways: 4 KiB to 1 MiB. The bound of what a client can make the server keep.</summary>
    public int MaxDataTransferBytes { get; init; } = Protocol.DefaultDataTransferBytes;

    /// <summary>Live mappings of one client, at most 65535.</summary>
    public int MaxDmaMaps { get; init; } = Protocol.DefaultDmaMaps;

    /// <summary>Different files that one client's mappings may keep open at a time; each costs the process a descriptor.</summary>
    public int MaxSharedFiles { get; init; } = 512;

    /// <summary>Whether DMA_MAP takes files too whose every access waits for a process or another machine: of FUSE, NFS, 9p, overlay and
    /// all file systems that are not known to be local. No: EPERM, since who serves such a file can hold the device up for ever.</summary>
    public bool AllowStallingFiles { get; init; }

    /// <summary>How long a client may take from connecting to the end of its VERSION; 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a message may take from its first to its last byte; 30 s.</summary>
    public TimeSpan MessageTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may take to read what is sent to it before it is dropped; 30 s.</summary>
    public TimeSpan SendTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may take to answer DMA_READ or DMA_WRITE before the device's access fails with ETIMEDOUT; 10 s.</summary>
    public TimeSpan DmaTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may be silent between messages; for ever, as the protocol has it. A finite time costs a system call a message.</summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How long a client may keep others waiting that has nothing of the device, neither memory mapped nor an interrupt ever
    /// bound, whatever messages it sends: above zero; for ever unless said otherwise.</summary>
    /// <remarks>It counts from when somebody waits in the backlog and no place is free. A client that has memory mapped or an interrupt
    /// bound, such as a virtual machine, uses the device though it is silent for days, and is never sent away for others.</remarks>
    public TimeSpan ContendedIdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How many clients are served at a time, each on a thread of its own; 1. The function that opens the device is called for each,
    /// and must give each a device of its own. More than one cannot be handed over.</summary>
    public int MaxClients { get; init; } = 1;

    /// <summary>How long a session looks for the next message before it sleeps; 100 µs. Zero: never; infinite: it never sleeps, and
    /// takes a core.</summary>
    /// <remarks>A thread that looks answers a client on another core without having to be woken, which takes tens of microseconds. The
    /// session watches whether that is so: with a client that is slow, or shares its core, it soon sleeps at once.</remarks>
    public TimeSpan SpinTime { get; init; } = Spinner.DefaultTime;

    /// <summary>Whether a session's thread may tell the scheduler that it need not preempt the client that wakes it (SCHED_BATCH); yes.</summary>
    /// <remarks>That is quicker where both share a core, for a client that sends and then waits. The session watches whether it is so:
    /// where a third program has the core, it soon competes again. Its thread is as before when the session has ended.</remarks>
    public bool LeavesCoreToClient { get; init; } = true;

    /// <summary>Where turned away clients (warning), faults (error), and sessions and refused messages (debug) are logged.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

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
            throw new ArgumentException("a server that takes another's place over listens where that one did", nameof(TakeOverPath));
        if (HandoverPath is not null && TakeOverPath is null && Path is null && Listener is null)
            throw new ArgumentException("a server that listens nowhere has nothing to hand over", nameof(HandoverPath));
    }
}
