using System.Diagnostics;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>Looks at a frame that a port received.</summary>
/// <param name="frame">Its bytes, for the time of the call.</param>
/// <param name="timestamp">When it was taken from the port, a <see cref="Stopwatch.GetTimestamp"/>.</param>
internal delegate void FrameObserver(ReadOnlySpan<byte> frame, long timestamp);

/// <summary>A station on a port: every received frame goes to a <see cref="Responder"/>, and its answer is sent in the frame's
/// buffer.</summary>
/// <remarks>One thread at a time. Nothing is allocated once it is made, and a batch of answers costs one call of the port.</remarks>
public sealed class EchoStation
{
    /// <summary>Frames that are taken from the port at once, at most.</summary>
    public const int BatchFrames = 32;

    private readonly IEthernetPort _port;
    private readonly Responder _responder;
    private readonly EthernetFrame[] _received = new EthernetFrame[BatchFrames];
    private readonly EthernetFrame[] _answers = new EthernetFrame[BatchFrames];
    private readonly EthernetFrame[] _others = new EthernetFrame[BatchFrames];
    private readonly byte[] _bytes = new byte[EthernetBuffers.BufferBytes];

    /// <summary>Makes it.</summary>
    /// <param name="port">Where; the caller keeps it.</param>
    /// <param name="responder">What it answers.</param>
    public EchoStation(IEthernetPort port, Responder responder)
    {
        ArgumentNullException.ThrowIfNull(port);
        ArgumentNullException.ThrowIfNull(responder);
        (_port, _responder) = (port, responder);
    }

    /// <summary>Called with every frame before it is answered; null for none.</summary>
    internal FrameObserver? Observer { get; init; }

    /// <summary>Frames received.</summary>
    public long Received { get; private set; }

    /// <summary>Answers that were handed to the port.</summary>
    public long Sent { get; private set; }

    /// <summary>Answers that were dropped because the port had no free descriptor.</summary>
    public long Unsent { get; private set; }

    /// <summary>Answers what has come by now, at most <see cref="BatchFrames"/>; does not wait.</summary>
    /// <returns>How many frames there were.</returns>
    public int Poll()
    {
        int count = _port.Receive(_received);
        if (count == 0)
            return 0;
        long now = Stopwatch.GetTimestamp();
        int answers = 0, others = 0;
        foreach (EthernetFrame frame in _received.AsSpan(0, count))
        {
            Span<byte> bytes = _port.Buffers.Read(frame, _bytes);
            Observer?.Invoke(bytes, now);
            int length = _responder.Answer(bytes, _bytes, out _);
            if (length == 0)
            {
                _others[others++] = frame;
                continue;
            }

            _port.Buffers.Write(frame, 0, _bytes.AsSpan(0, length));
            _answers[answers++] = frame with { Length = length };
        }

        _port.Return(_others.AsSpan(0, others));
        Send(_answers.AsSpan(0, answers));
        Received += count;
        return count;
    }

    private void Send(ReadOnlySpan<EthernetFrame> answers)
    {
        int taken = answers.IsEmpty ? 0 : _port.Transmit(answers);
        _port.Return(answers[taken..]);
        Sent += taken;
        Unsent += answers.Length - taken;
    }
}
