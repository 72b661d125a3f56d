namespace Vfio.Conformance;

/// <summary>DEVICE_FEATURE: probing, getting, setting, and DMA logging. A server need not offer any feature.</summary>
internal static class FeatureChecks
{
    internal const uint Get = 1 << 16, Set = 1 << 17, Probe = 1 << 18;
    internal const uint Migration = 1, State = 2, LoggingStart = 6, LoggingStop = 7, LoggingReport = 8;

    private const string Section = "VFIO_USER_DEVICE_FEATURE", Logging = "VFIO_DEVICE_FEATURE_DMA_LOGGING_START / STOP / REPORT";

    internal static IEnumerable<Check> All =>
    [
        .. new[] { (Migration, Get), (State, Get | Set), (LoggingStart, Set), (LoggingStop, Set), (LoggingReport, Get) }.Select(Probed),
        Expect.Refused("feature.none", Section, "Get, set or probe says what to do.", _ => Requests.Feature(Migration)),
        Expect.Refused("feature.get-and-set", Section, "Get and set exclude each other, but for a probe.", _ =>
            Requests.Feature(State | Get | Set, new byte[8])),
        Expect.Refused("feature.unknown", Sections.Features, "The features are those of migration and of DMA logging.", _ =>
            Requests.Feature(1000 | Get)),
        Expect.Refused("feature.unknown-probe", Section, "A probe succeeds only for what is supported.", _ =>
            Requests.Feature(1000 | Probe | Get)),
        Expect.Refused("feature.index-0", Sections.Features, "The features are those of migration and of DMA logging.", _ =>
            Requests.Feature(Probe | Get | Set)),
        Expect.Refused("feature.set-migration", "VFIO_DEVICE_FEATURE_MIGRATION", "What a device can do is not set.", _ =>
            Requests.Feature(Migration | Set, new byte[8])),
        Expect.RefusedBetter("feature.flags-unknown", Section, "Bits 19 and up of the flags mean nothing.", _ =>
            Requests.Feature(Migration | Probe | Get | (1 << 20))),
        .. new uint[] { 0, 7 }.Select(size =>
            Expect.Fits($"feature.argsz-{size}", Sections.Sizes, size, (_, argSize) =>
            Requests.Feature(Migration | Get, argSize: argSize))),
        Expect.Fits("feature.argsz-without-data", Sections.Sizes, 8, (_, argSize) => Requests.Feature(Migration | Get, argSize: argSize)),
        .. new[] { 0, 4, 7 }.Select(bytes => Expect.Refused(
            $"feature.body-of-{bytes}", Section, "The request has 8 bytes at least; a shorter one is not read past its end.",
            _ => Requests.Feature(Migration | Get).Cut(bytes))),
        Expect.Refused("feature.set-without-data", Section, "To set a feature takes its data.", _ => Requests.Feature(State | Set)),
        Expect.Refused("feature.logging-without-data", Logging, "To start takes a page size and ranges.", _ =>
            Requests.Feature(LoggingStart | Set)),
        Expect.Refused("feature.logging-fewer-ranges", Logging, "num_ranges is how many ranges follow.", _ =>
            Requests.Feature(LoggingStart | Set, Start(4096, 2, (0, 4096)))),
        Expect.Refused("feature.logging-many-ranges", Logging, "num_ranges is how many ranges follow, however large a number it is.",
            _ => Requests.Feature(LoggingStart | Set, Start(4096, 0x10000001, (0, 4096)))),
        Expect.Refused("feature.report-before-start", Logging, "A report is valid only after logging was started.",
            _ => Requests.Feature(LoggingReport | Get, Range(0, 4096, 4096))),
        Logged("report", "The report repeats the request, and its bitmap has a bit for each page.", peer =>
        {
            Received reply = peer.MustDo(Requests.Feature(LoggingReport | Get, Range(0x10000, 0x4000, 4096)));
            if (reply.At<ulong>(8) != 0x10000 || reply.At<ulong>(16) != 0x4000)
                return Outcome.Violation("the report is about another range");
            ulong bitmap = reply.At<ulong>(32);
            return (bitmap & ~0xful) == 0 ? Outcome.Pass() : Outcome.Violation($"bits beyond the range are set: 0x{bitmap:x}");
        }),
        Logged("report-page-size-3", "The page size of a report is a power of two.", peer =>
            Refused(peer, Requests.Feature(LoggingReport | Get, Range(0x10000, 0x4000, 3)))),
        Logged("report-page-size-0", "The page size of a report is a power of two.", peer =>
            Refused(peer, Requests.Feature(LoggingReport | Get, Range(0x10000, 0x4000, 0)))),
        Logged("report-everything", "A bitmap that no message can hold is refused.", peer =>
            Refused(peer, Requests.Feature(LoggingReport | Get, Range(0, ulong.MaxValue - 4095, 1), uint.MaxValue))),
        Logged("report-wraps", "A range does not go over the end of the address space.", peer =>
            Refused(peer, Requests.Feature(LoggingReport | Get, Range(ulong.MaxValue - 4095, 0x4000, 4096)))),
        Logged("report-argsz", "The reply fits argsz, or the request is refused.", peer =>
        {
            Received reply = peer.Ask(Requests.Feature(LoggingReport | Get, Range(0x10000, 0x4000, 4096), argSize: 32));
            return reply.IsRefusal || reply.Body.Length <= 32 ? Outcome.Pass()
                : Outcome.Violation($"{reply.Body.Length} bytes for an argsz of 32");
        }),
        Logged("stop", "Logging that was started can be stopped; then there is nothing to report.", peer =>
        {
            peer.MustDo(Requests.Feature(LoggingStop | Set));
            return Refused(peer, Requests.Feature(LoggingReport | Get, Range(0x10000, 0x4000, 4096)));
        }),
    ];

    private static Outcome Refused(Peer peer, Request request)
    {
        Received reply = peer.Ask(request);
        peer.MustGoOn();
        return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Violation("it was accepted");
    }

    private static byte[] Start(ulong pageSize, uint count, params (ulong Iova, ulong Length)[] ranges) =>
    [
        .. Requests.Bytes(pageSize), .. Requests.Bytes((ulong)count),
        .. ranges.SelectMany(range => (byte[])[.. Requests.Bytes(range.Iova), .. Requests.Bytes(range.Length)]),
    ];

    private static byte[] Range(ulong iova, ulong length, ulong pageSize) =>
        [.. Requests.Bytes(iova), .. Requests.Bytes(length), .. Requests.Bytes(pageSize)];

    private static Check Probed((uint Feature, uint Methods) row) => new(
        $"feature.probe-{row.Feature}", Section,
            "A probe is answered by repeating the request, or refused where the feature is not supported.", trial =>
        {
            Peer peer = trial.Open();
            Received reply = peer.Ask(Requests.Feature(row.Feature | row.Methods | Probe));
            peer.MustGoOn();
            if (reply.IsRefusal)
                return Outcome.Skipped($"not offered: {reply.Refusal}");
            uint flags = reply.At<uint>(4);
            return flags == (row.Feature | row.Methods | Probe) ? Outcome.Pass("offered")
                : Outcome.Violation($"the reply has flags 0x{flags:x}");
        });

    private static Check Logged(string name, string rule, Func<Peer, Outcome> attempt) =>
        new($"feature.logging-{name}", Logging, rule, trial =>
    {
        Peer peer = trial.Open();
        peer.Need(Requests.Feature(LoggingStart | Set | Probe));
        peer.Need(Requests.DmaMap(0x10000, 0x4000).With(trial.MemoryFile(0x4000)));
        peer.MustDo(Requests.Feature(LoggingStart | Set, Start(4096, 1, (0x10000, 0x4000))));
        Outcome outcome = attempt(peer);
        peer.Ask(Requests.Feature(LoggingStop | Set));
        return outcome;
    });
}
