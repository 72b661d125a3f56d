using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Net;

namespace Vfio.Cli.Net;

/// <summary>Pings a host.</summary>
internal static class PingCommand
{
    private const int LargestData = 1472;
    private static readonly (string Name, double Share)[] Percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("ping", "Ask a host for ICMP echoes: loss and times.");
        Argument<Ipv4Address> target = new("target") { Description = "The host to ping: 192.0.2.1.", CustomParser = NetArguments.ParseHost };
        Option<Ipv4Interface> own = NetArguments.OwnAddress();
        Option<Ipv4Address> gateway = new("--gateway", "-g")
        {
            Description = "The gateway for a host outside the port's network.",
            CustomParser = NetArguments.ParseHost,
        };
        NumberOption<long> count = RunLimits.CountOption("End after so many questions; otherwise with Ctrl-C.");
        NumberOption<Duration> interval = new(
            "--interval", NumberRules.Time(Duration.Zero, Duration.Days(1), Duration.Milliseconds(250)), Duration.Seconds(1),
            "Time between two; 0 asks as soon as one is answered.", "-i");
        NumberOption<Duration> replyTimeout = new(
            "--timeout", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(1), Duration.Seconds(2)), Duration.Seconds(1),
            "How long an answer may take.", "-W");
        NumberOption<int> size = new(
            "--size", NumberRules.Size(0, LargestData, Pinger.UsualDataBytes), Pinger.UsualDataBytes, "Bytes of data in each; one frame holds them.");
        Option<bool> quiet = new("--quiet", "-q") { Description = "Print only the summary." };
        Option<MacAddress?> mac = NetArguments.Mac();
        Option<bool> poll = NetArguments.Poll();
        Option<bool> json = SharedOptions.Json();
        command.Add(target);
        foreach (Option option in (Option[])[own, gateway, count, interval, replyTimeout, size, quiet, mac, poll, json])
            command.Add(option);
        command.SetAction(parsed =>
        {
            Ipv4Interface from = parsed.GetValue(own);
            Ipv4Address to = parsed.GetValue(target);
            if (!from.Contains(to) && parsed.GetValue(gateway) == default)
                throw new MisuseException($"{to} is outside {from}: add --gateway.");
            if (to == from.Address)
                throw new MisuseException("That is the port's own address.");
            return NetArguments.Drive(parsed.GetValue(address)!, parsed.OpenOptions(timeout), parsed.GetValue(mac), parsed.GetValue(poll), (port, stop) =>
            {
                Pinger pinger = new(
                    port.Address, from, to, from.Contains(to) ? to : parsed.GetValue(gateway), parsed.GetValue(size), (ushort)Environment.ProcessId);
                bool isListed = !parsed.GetValue(quiet) && !parsed.GetValue(json);
                TextWriter output = parsed.InvocationConfiguration.Output;
                PingRun run = new(port, pinger, from)
                {
                    Interval = parsed.GetValue(interval),
                    ReplyTimeout = parsed.GetValue(replyTimeout),
                    Replied = isListed ? reply => Print(output, pinger, reply) : null,
                };
                return Run(port, pinger, run, new RunLimits(parsed.GetValue(count), TimeSpan.Zero, stop), output, parsed.GetValue(json));
            });
        });
        return command;
    }

    /// <summary>Pings until a limit is reached, and prints the summary.</summary>
    /// <returns>The exit code: 1 without any answer, as of <c>ping</c>.</returns>
    internal static int Run(IEthernetPort port, Pinger pinger, PingRun run, RunLimits limits, TextWriter output, bool json)
    {
        if (!run.Resolve(limits.Stop))
        {
            if (limits.Stop.IsCancellationRequested)
                return CommandLine.Refused;
            throw new VfioException(
                $"ARP for {pinger.NextHop}", port.Name, Errno.HostUnreachable,
                port.IsLinkUp ? "no station there answers" : "there is no link");
        }

        if (!json)
            output.WriteLine($"PING {pinger.Target} on {port.Name}: {pinger.NextHop} is at {pinger.Station}");
        run.Run(limits);
        if (json)
            PrintJson(output, pinger, run);
        else
            PrintSums(output, pinger, run);
        return pinger.Received > 0 ? 0 : CommandLine.Refused;
    }

    /// <summary>Prints one answer.</summary>
    internal static void Print(TextWriter output, Pinger pinger, PingReply reply)
    {
        string time = reply.Kind == PingReplyKind.Good ? $" time={Milliseconds(reply.RoundTrip.TotalNanoseconds)} ms" : "";
        string remark = reply.Kind switch
        {
            PingReplyKind.Duplicate => " (duplicate)",
            PingReplyKind.Corrupt => " (other data than were sent)",
            _ => "",
        };
        output.WriteLine($"{reply.Bytes} bytes from {pinger.Target}: icmp_seq={reply.Sequence} ttl={reply.TimeToLive}{time}{remark}");
    }

    private static string Milliseconds(double nanoseconds) => NetArguments.Number(nanoseconds / 1e6, "0.000");

    private static void PrintSums(TextWriter output, Pinger pinger, PingRun run)
    {
        output.WriteLine($"--- {pinger.Target} ping statistics ---");
        output.WriteLine(
            $"{pinger.Sent} packets transmitted, {pinger.Received} received, " +
            (pinger.Duplicates > 0 ? $"+{pinger.Duplicates} duplicates, " : "") +
            (pinger.Corrupt > 0 ? $"+{pinger.Corrupt} corrupted, " : "") +
            $"{NetArguments.Number(100 * pinger.Loss, "0.##")}% packet loss, time {NetArguments.Number(run.Elapsed.TotalMilliseconds, "0")} ms");
        if (pinger.Received == 0)
            return;
        output.WriteLine(
            $"rtt min/avg/max = {Milliseconds(run.Extremes.Shortest.TotalNanoseconds)}/" +
            $"{Milliseconds((double)run.Nanoseconds.Total / run.Nanoseconds.Count)}/{Milliseconds(run.Extremes.Longest.TotalNanoseconds)} ms");
        output.WriteLine(string.Join(", ", Percentiles.Select(one => $"{one.Name} {Milliseconds(run.Nanoseconds.Percentile(one.Share))} ms")));
    }

    private static void PrintJson(TextWriter output, Pinger pinger, PingRun run) => Json.Print(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("target", pinger.Target.ToString());
        writer.WriteString("station", pinger.Station.ToString());
        writer.WriteNumber("transmitted", pinger.Sent);
        writer.WriteNumber("received", pinger.Received);
        writer.WriteNumber("duplicates", pinger.Duplicates);
        writer.WriteNumber("corrupted", pinger.Corrupt);
        writer.WriteNumber("loss", pinger.Loss);
        writer.WriteNumber("seconds", run.Elapsed.TotalSeconds);
        if (pinger.Received > 0)
        {
            writer.WriteStartObject("roundTripNanoseconds");
            writer.WriteNumber("min", (long)run.Extremes.Shortest.TotalNanoseconds);
            writer.WriteNumber("mean", run.Nanoseconds.Total / (ulong)run.Nanoseconds.Count);
            foreach ((string name, double share) in Percentiles)
                writer.WriteNumber(name, (long)run.Nanoseconds.Percentile(share));
            writer.WriteNumber("max", (long)run.Extremes.Longest.TotalNanoseconds);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    });
}
