using System.CommandLine;
using System.Diagnostics;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Net;

namespace Vfio.Cli.Net;

/// <summary>Answers ARP, pings and UDP echo, and sends nothing else.</summary>
internal static class EchoCommand
{
    private static readonly (string Name, PacketVerdict[] Ends)[] Kinds =
    [
        ("ARP", [PacketVerdict.AnsweredArp]),
        ("ICMP", [PacketVerdict.AnsweredIcmp]),
        ("UDP", [PacketVerdict.AnsweredUdp]),
        ("others", [PacketVerdict.NotForUs, PacketVerdict.Unserved]),
        ("wrong", [PacketVerdict.Malformed, PacketVerdict.BadChecksum, PacketVerdict.Fragment, PacketVerdict.Unanswerable, PacketVerdict.AddressConflict]),
    ];

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("echo", "Answer ARP, ICMP echo and UDP echo at an address.");
        Option<Ipv4Interface> own = NetArguments.OwnAddress();
        NumberOption<ushort> udp = new(
            "--port", NumberRules.Count<ushort>(0, ushort.MaxValue, Responder.EchoPort), Responder.EchoPort,
            "The port of UDP that echoes; 0 for none.");
        NumberOption<long> count = RunLimits.CountOption("End after so many answers.");
        OptionalNumberOption<Duration> seconds = RunLimits.SecondsOption();
        Option<MacAddress?> mac = NetArguments.Mac();
        Option<bool> poll = NetArguments.Poll();
        Option<bool> json = SharedOptions.Json();
        command.Add(own);
        command.Add(udp);
        command.Add(count);
        command.Add(seconds);
        command.Add(mac);
        command.Add(poll);
        command.Add(json);
        command.SetAction(parsed => NetArguments.Drive(parsed.GetValue(address)!, parsed.OpenOptions(timeout), parsed.GetValue(mac), parsed.GetValue(poll), (port, stop) =>
        {
            ushort? echoPort = parsed.GetValue(udp) is > 0 and ushort number ? number : null;
            RunLimits limits = new(parsed.GetValue(count), parsed.GetValue(seconds) ?? Duration.Zero, stop);
            Responder responder = new(port.Address, parsed.GetValue(own), echoPort);
            Run(port, responder, limits, parsed.InvocationConfiguration.Output, parsed.GetValue(json));
            return 0;
        }));
        return command;
    }

    /// <summary>Answers until a limit is reached, with a line each second, and a summary at the end.</summary>
    internal static void Run(IEthernetPort port, Responder responder, RunLimits limits, TextWriter output, bool json)
    {
        EchoStation station = new(port, responder);
        if (!json)
            output.WriteLine($"{responder.Network} at {responder.Hardware} on {port.Name} answers; Ctrl-C ends it");
        Deadline end = limits.Begin();
        long start = Stopwatch.GetTimestamp();
        long line = start;
        long[] before = new long[Kinds.Length];
        while (!limits.IsOver(station.Sent, end))
        {
            if (station.Poll() == 0)
                port.Wait(RunLimits.SleepTime);
            if (json || Stopwatch.GetElapsedTime(line) < TimeSpan.FromSeconds(1))
                continue;
            line = Stopwatch.GetTimestamp();
            PrintSecond(output, responder, Stopwatch.GetElapsedTime(start, line), before);
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        if (json)
            PrintJson(output, responder, station, elapsed);
        else
            PrintSums(output, responder, station, elapsed);
    }

    private static long Count(Responder responder, PacketVerdict[] ends) => ends.Sum(responder.Count);

    private static void PrintSecond(TextWriter output, Responder responder, TimeSpan elapsed, long[] before)
    {
        output.Write($"{NetArguments.Number(elapsed.TotalSeconds, "0"),5} s");
        for (int kind = 0; kind < Kinds.Length; kind++)
        {
            long count = Count(responder, Kinds[kind].Ends);
            output.Write($"  {Kinds[kind].Name} {count - before[kind]}");
            before[kind] = count;
        }

        output.WriteLine();
    }

    private static void PrintSums(TextWriter output, Responder responder, EchoStation station, TimeSpan elapsed)
    {
        output.WriteLine(
            $"{station.Received} frames received, {station.Sent} answered in {NetArguments.Number(elapsed.TotalSeconds)} s" +
            (station.Unsent > 0 ? $", {station.Unsent} answers dropped for lack of buffers" : ""));
        foreach (PacketVerdict verdict in Enum.GetValues<PacketVerdict>())
        {
            if (responder.Count(verdict) is > 0 and long count)
                output.WriteLine($"  {Describe(verdict),-34} {count}");
        }
    }

    private static string Describe(PacketVerdict verdict) => verdict switch
    {
        PacketVerdict.AnsweredArp => "answered, ARP",
        PacketVerdict.AnsweredIcmp => "answered, ICMP echo",
        PacketVerdict.AnsweredUdp => "answered, UDP echo",
        PacketVerdict.NotForUs => "for others",
        PacketVerdict.Unserved => "nothing that is answered",
        PacketVerdict.Fragment => "fragments",
        PacketVerdict.Malformed => "malformed",
        PacketVerdict.BadChecksum => "with a wrong checksum",
        PacketVerdict.Unanswerable => "from where no answer must go",
        _ => "from another with this address",
    };

    private static void PrintJson(TextWriter output, Responder responder, EchoStation station, TimeSpan elapsed) => Json.Print(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("address", responder.Network.ToString());
        writer.WriteString("mac", responder.Hardware.ToString());
        writer.WriteNumber("seconds", elapsed.TotalSeconds);
        writer.WriteNumber("received", station.Received);
        writer.WriteNumber("answered", station.Sent);
        writer.WriteNumber("unsent", station.Unsent);
        writer.WriteStartObject("frames");
        foreach (PacketVerdict verdict in Enum.GetValues<PacketVerdict>())
            writer.WriteNumber(char.ToLowerInvariant($"{verdict}"[0]) + $"{verdict}"[1..], responder.Count(verdict));
        writer.WriteEndObject();
        writer.WriteEndObject();
    });
}
