namespace Vfio.User;

/// <summary>How a client behaves towards its server.</summary>
public sealed record VfioUserClientOptions
{
    /// <summary>How long the server may take to answer, or to read what it is sent, before the connection is given up; for ever
    /// unless said otherwise, because a reset may take any time.</summary>
    public TimeSpan Timeout { get; init; } = System.Threading.Timeout.InfiniteTimeSpan;

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
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxDataTransferBytes, 4096, nameof(MaxDataTransferBytes));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxDataTransferBytes, Protocol.DefaultDataTransferBytes, nameof(MaxDataTransferBytes));
    }
}
