using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User;

/// <summary>Timeouts, limits and policies of a client.</summary>
public sealed record VfioUserClientOptions
{
    /// <summary>The default of <see cref="Timeout"/>: 30 s.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the server may take before the connection is given up: for the whole handshake (accept the client and describe its
    /// device), and then for each request, to read it and to answer it to the last byte.</summary>
    /// <remarks>Above 0; <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for ever. Default: 30 s. A reset may
    /// take long on real hardware.</remarks>
    public TimeSpan Timeout { get; init; } = DefaultTimeout;

    /// <summary>How long to wait for a server that went away, when the client was made by <see cref="VfioUserClient.Connect"/>. Default: 0,
    /// not at all.</summary>
    /// <remarks>
    /// <para>When the server comes back in time, with the same device, the client restores mappings and eventfds. The device is as after a
    /// reset: <see cref="IVfioDevice.Restarted"/> is raised, and every vector that is bound, ERR too, fires once, because interrupts
    /// in between are lost. Memory and I/O decoding are enabled again, bus mastering is not.</para>
    /// <para>Calls wait meanwhile. Reads, interrupt requests and mappings are then carried out by the new server; a write that was
    /// under way fails with ECONNRESET, since it may have been done or not.</para>
    /// </remarks>
    public TimeSpan ReconnectTimeout { get; init; }

    /// <summary>Logs a server that was lost or found again (warning), or given up (error).</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Send region writes without requesting a reply: they cost one system call, stay in order with all other messages, and
    /// their errors are lost. Ends when the caller queries a region that can be mapped, since its stores could overtake messages.
    /// Default: no.</summary>
    public bool PostedWrites { get; init; }

    /// <summary>Answer the server's DMA_READ and DMA_WRITE on a thread of their own, even while all mapped memory was passed
    /// by descriptor. While other memory is mapped, the thread exists anyway. Default: no.</summary>
    public bool AlwaysAnswer { get; init; }

    /// <summary>Offer a twin socket for the server's DMA requests, so that these do not wait for this side's requests. When the
    /// server accepts it, a thread answers there, from the first mapping on. Default: yes.</summary>
    public bool TwinSocket { get; init; } = true;

    /// <summary>Write to doorbells that the server offers by signalling their eventfd, without a message or a reply. Such a write is not
    /// ordered with messages: a read that follows may be answered before the device has seen it. Default: no.</summary>
    public bool RingDoorbells { get; init; }

    /// <summary>How long to poll for a reply before sleeping. Zero: never; infinite: until it arrives. Default: 100 µs. As on the server's
    /// side, see <see cref="VfioUserServerOptions.SpinTime"/>, the client polls only while that pays off.</summary>
    public TimeSpan SpinTime { get; init; } = Spinner.DefaultTime;

    /// <summary>Largest data part of one message that this side takes, in bytes: 4 KiB to 1 MiB.</summary>
    public int MaxDataTransferBytes { get; init; } = Protocol.DefaultDataTransferBytes;

    /// <summary>Captures the messages of this client; the caller disposes it after the client. Null, the default, for none: a message then
    /// costs nothing more.</summary>
    public VfioUserCapture? Capture { get; init; }

    /// <summary>Throws when a number is out of its range.</summary>
    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfEqual(Timeout, TimeSpan.Zero, nameof(Timeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxDataTransferBytes, 4096, nameof(MaxDataTransferBytes));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxDataTransferBytes, Protocol.DefaultDataTransferBytes, nameof(MaxDataTransferBytes));
        Deadline.ThrowIfInvalid(Timeout);
        Deadline.ThrowIfInvalid(ReconnectTimeout);
        Deadline.ThrowIfInvalid(SpinTime);
    }
}
