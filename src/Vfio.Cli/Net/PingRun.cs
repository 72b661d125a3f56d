using System.Diagnostics;
using Vfio.Cli.Bench;
using Vfio.Drivers.Ethernet;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Net;

namespace Vfio.Cli.Net;

/// <summary>Resolves a station's address, pings it repeatedly, and measures the time of each answer. It also answers ARP and pings.</summary>
internal sealed class PingRun
{
    private const int ArpTries = 5;
    private readonly IEthernetPort _port;
    private readonly Pinger _pinger;
    private readonly EchoStation _station;
    private readonly byte[] _frame;

    internal PingRun(IEthernetPort port, Pinger pinger, Ipv4Interface own)
    {
        (_port, _pinger) = (port, pinger);

        // A host that is pinged sends an ARP request before it answers.
        _station = new EchoStation(port, new Responder(port.Address, own, echoPort: null)) { Observer = Look };
        _frame = new byte[pinger.FrameBytes];
    }

    /// <summary>Called for every answer.</summary>
    internal Action<PingReply>? Replied { get; init; }

    /// <summary>Time between two requests; zero sends the next as soon as one is answered.</summary>
    internal TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest time to wait for an answer.</summary>
    internal TimeSpan ReplyTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Round trips of the good answers, in nanoseconds.</summary>
    internal LatencyHistogram Nanoseconds { get; } = new();

    /// <summary>The shortest and the longest of them.</summary>
    internal (TimeSpan Shortest, TimeSpan Longest) Extremes { get; private set; } = (TimeSpan.MaxValue, TimeSpan.Zero);

    /// <summary>Time from the first request to the last answer.</summary>
    internal TimeSpan Elapsed { get; private set; }

    /// <summary>Sends up to five ARP requests.</summary>
    /// <returns>False when there was no answer.</returns>
    internal bool Resolve(CancellationToken stop)
    {
        for (int tries = 0; tries < ArpTries && !stop.IsCancellationRequested; tries++)
        {
            _port.TrySend(_frame.AsSpan(0, _pinger.WriteArpRequest(_frame)));
            for (Deadline end = new(ReplyTimeout); _pinger.Station is null && !IsOver(end, stop);)
                Poll(end);
            if (_pinger.Station is not null)
                return true;
        }

        return false;
    }

    /// <summary>Sends requests until a limit is reached, and waits for the last answers.</summary>
    internal void Run(RunLimits limits)
    {
        long start = Stopwatch.GetTimestamp();
        Deadline end = limits.Begin(), replyEnd = new(ReplyTimeout);
        long due = start;
        while (!limits.IsOver(_pinger.Sent, end))
        {
            if (Stopwatch.GetTimestamp() >= due)
            {
                Ask(limits.Stop);
                replyEnd = new Deadline(ReplyTimeout);
                due = Math.Max(due + Ticks(Interval), Stopwatch.GetTimestamp());
            }

            if (Interval == TimeSpan.Zero)
                WaitForAnswers(replyEnd, limits.Stop);
            else
                Poll(Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due));
        }

        WaitForAnswers(replyEnd, limits.Stop);
        Elapsed = Stopwatch.GetElapsedTime(start);
    }

    private static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    private static bool IsOver(Deadline end, CancellationToken stop) => stop.IsCancellationRequested || end.HasPassed;

    private void WaitForAnswers(Deadline end, CancellationToken stop)
    {
        while (_pinger.Received < _pinger.Sent && !IsOver(end, stop))
            Poll(end);
    }

    private void Ask(CancellationToken stop)
    {
        Deadline end = new(ReplyTimeout);
        int length = _pinger.WriteEchoRequest(_frame, Stopwatch.GetTimestamp());

        // A port without a free buffer gets one when it has sent earlier frames; if it never does, this request is lost.
        while (!_port.TrySend(_frame.AsSpan(0, length)) && !IsOver(end, stop))
            Poll(TimeSpan.FromMilliseconds(1));
    }

    private void Poll(Deadline end) => Poll(Deadline.Earlier(end, new Deadline(RunLimits.SleepTime)).Left);

    private void Poll(TimeSpan sleepTime)
    {
        if (_station.Poll() == 0 && sleepTime > TimeSpan.Zero)
            _port.Wait(sleepTime < RunLimits.SleepTime ? sleepTime : RunLimits.SleepTime);
    }

    private void Look(ReadOnlySpan<byte> frame, long timestamp)
    {
        if (!_pinger.TryAccept(frame, timestamp, out PingReply reply))
            return;
        if (reply.Kind == PingReplyKind.Good)
        {
            Nanoseconds.Add((ulong)reply.RoundTrip.TotalNanoseconds);
            TimeSpan time = reply.RoundTrip;
            Extremes = (time < Extremes.Shortest ? time : Extremes.Shortest, time > Extremes.Longest ? time : Extremes.Longest);
        }

        Replied?.Invoke(reply);
    }
}
