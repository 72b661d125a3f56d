using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User;

/// <summary>How a client behaves towards its server.</summary>
public sealed record VfioUserClientOptions
{
    /// <summary><see cref="Timeout"/> unless said otherwise: 30 s.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the server may take before the connection is given up: to take the client and say what its device is, all
    /// together, and then over each request, to read it and to answer it to the last byte.</summary>
    /// <remarks>30 s unless said otherwise; above 0; <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for ever. A reset may
    /// take long on real hardware.</remarks>
    public TimeSpan Timeout { get; init; } = DefaultTimeout;

    /// <summary>How long a server that went away is waited for, when the client was made by <see cref="VfioUserClient.Connect"/>; not at
    /// all unless said otherwise.</summary>
    /// <remarks>
    /// <para>A server that comes back in time, with the same device, is told all that is mapped and bound. The device is as after a
    /// reset: <see cref="IVfioDevice.Restarted"/> says so, and every vector that is bound, ERR too, fires once, for what fired
    /// meanwhile is lost. Memory and I/O decoding are turned on again, bus mastering is not.</para>
    /// <para>Calls wait meanwhile. A read, a request of interrupts and a mapping are carried out by the new server; a write that was
    /// under way fails with ECONNRESET, for it may have been done or not.</para>
    /// </remarks>
    public TimeSpan ReconnectTimeout { get; init; }

    /// <summary>Where a server that is lost or found again is logged (warning), or given up (error).</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Send region writes without asking for a reply: they cost one system call, stay in order with all other messages, and
    /// their errors are lost. Ends when the caller asks for a region that can be mapped, for its stores could overtake messages.</summary>
    public bool PostedWrites { get; init; }

    /// <summary>Answer the server's DMA_READ and DMA_WRITE by a thread of their own, even while all memory that is mapped was passed
    /// by descriptor. The thread exists anyway while memory is mapped that was not.</summary>
    public bool AlwaysAnswer { get; init; }

    /// <summary>Offer a socket of their own for the server's DMA requests, so that these wait for nothing that this side asks. Where the
    /// server takes it a thread answers there, from the first mapping on.</summary>
    public bool TwinSocket { get; init; } = true;

    /// <summary>Write to doorbells that the server offers by signalling their eventfd: no message, and nobody waits. Such a write is not
    /// ordered with messages: a read that follows may be answered before the device has seen it. Off unless said otherwise.</summary>
    public bool RingDoorbells { get; init; }

    /// <summary>How long to look for a reply before sleeping; 100 µs. Zero: never; infinite: until it is there. As on the server's side,
    /// see <see cref="VfioUserServerOptions.SpinTime"/>, it is done only while it turns out to be of use.</summary>
    public TimeSpan SpinTime { get; init; } = Spinner.DefaultTime;

    /// <summary>Largest data part of one message that this side takes, in bytes: 4 KiB to 1 MiB.</summary>
    public int MaxDataTransferBytes { get; init; } = Protocol.DefaultDataTransferBytes;

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
