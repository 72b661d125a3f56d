using Vfio.Captures;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>Writes what a port receives to a capture.</summary>
/// <remarks>One thread at a time; nothing is allocated once it is made. Each batch has one time: that at which it was taken.</remarks>
public sealed class FrameRecorder
{
    private const int BatchFrames = 64;
    private readonly IEthernetPort _port;
    private readonly PcapngWriter _writer;
    private readonly CaptureClock _clock;
    private readonly EthernetFrame[] _batch = new EthernetFrame[BatchFrames];
    private readonly byte[] _bytes = new byte[EthernetBuffers.BufferBytes];

    /// <summary>Makes it, with times of this machine's clock.</summary>
    /// <param name="port">The port that receives; the caller keeps it.</param>
    /// <param name="writer">Receives the frames; the caller keeps it.</param>
    public FrameRecorder(IEthernetPort port, PcapngWriter writer)
        : this(port, writer, new CaptureClock())
    {
    }

    /// <summary>Makes it.</summary>
    /// <param name="port">The port that receives; the caller keeps it.</param>
    /// <param name="writer">Receives the frames; the caller keeps it.</param>
    /// <param name="clock">The time of the frames.</param>
    internal FrameRecorder(IEthernetPort port, PcapngWriter writer, CaptureClock clock)
    {
        ArgumentNullException.ThrowIfNull(port);
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(clock);
        (_port, _writer, _clock) = (port, writer, clock);
    }

    /// <summary>Bytes of the frames, as they came.</summary>
    public long FrameBytes { get; private set; }

    /// <summary>Writes the frames received by now, and flushes when there are no more; does not wait.</summary>
    /// <param name="most">How many frames at most, from 1.</param>
    /// <returns>How many there were.</returns>
    public int Poll(long most = long.MaxValue)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        Span<EthernetFrame> batch = _batch.AsSpan(0, (int)Math.Min(most, BatchFrames));
        batch = batch[.._port.Receive(batch)];
        if (batch.IsEmpty)
            return 0;
        try
        {
            ulong now = _clock.Now;
            foreach (EthernetFrame frame in batch)
            {
                FrameBytes += frame.Length;
                _writer.Write(_port.Buffers.Read(frame, _bytes), now);
            }
        }
        finally
        {
            _port.Return(batch);
        }

        if (batch.Length < BatchFrames)
            _writer.Flush();
        return batch.Length;
    }
}
