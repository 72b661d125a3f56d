using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>Migration: the states, and the data that goes from one server to another.</summary>
internal static class MigrationChecks
{
    private const string States = "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE", Read = "VFIO_USER_MIG_DATA_READ",
        Write = "VFIO_USER_MIG_DATA_WRITE";
    private const uint Error = 0, Stop = 1, Running = 2, StopCopy = 3, Resuming = 4, PreCopy = 6;
    private const int MaxReads = 4096;

    internal static IEnumerable<Check> All =>
    [
        new("migration.flags", "VFIO_DEVICE_FEATURE_MIGRATION", "A device that can migrate can at least STOP_COPY.", trial =>
        {
            Received reply = trial.Open().Need(Requests.Feature(FeatureChecks.Migration | FeatureChecks.Get));
            return (reply.At<ulong>(8) & 1) != 0 ? Outcome.Pass($"flags 0x{reply.At<ulong>(8):x}")
                : Outcome.Violation($"flags 0x{reply.At<ulong>(8):x}");
        }),
        Go("starts-running", "A device runs at first.", peer =>
        {
            uint state = Current(peer);
            return state == Running ? Outcome.Pass() : Outcome.Violation($"state {state}");
        }),
        Path("stop-and-run", Stop, Running),
        Path("save", Stop, StopCopy, Stop, Running),
        Path("save-at-once", StopCopy, Running),
        Path("resume", Stop, Resuming),
        NoArc("to-error", "ERROR cannot be asked for.", Error),
        NoArc("to-99", "A state is one of those that are listed.", 99),
        NoArc("to-4g", "A state is one of those that are listed.", uint.MaxValue),
        NoArc("stop-copy-to-pre-copy", "STOP_COPY to PRE_COPY is not allowed.", StopCopy, PreCopy),
        Go("read-all", "Migration data is a stream: a read that gives less than was asked for is the last.", peer =>
        {
            Move(peer, StopCopy);
            long total = 0;
            for (int i = 0; i < MaxReads; i++)
            {
                Received reply = peer.MustDo(Requests.MigrationRead(4096));
                uint size = reply.At<uint>(4);
                if (size > 4096 || reply.Body.Length != 8 + size)
                    return Outcome.Violation($"size {size} with {reply.Body.Length - 8} bytes of data, where 4096 were asked for");
                total += size;
                if (size < 4096)
                    return Outcome.Pass($"{total} bytes");
            }

            return Outcome.Skipped($"the state has more than {total} bytes");
        }),
        Go("save-and-restore", "What one device saved another takes.", peer =>
        {
            Move(peer, StopCopy);
            List<byte[]> parts = [];
            do
            {
                Received read = peer.MustDo(Requests.MigrationRead(4096));
                _ = read.At<MigrationDataMessage>(0);
                parts.Add(read.Body[8..]);
            }
            while (parts[^1].Length == 4096 && parts.Count < MaxReads);
            Move(peer, Stop);
            Move(peer, Resuming);
            foreach (byte[] part in parts)
                peer.MustDo(Requests.MigrationWrite(part));
            Move(peer, Stop);
            Move(peer, Running);
            return Outcome.Pass();
        }),
        Go("garbage", "Data that is invalid fails the end of RESUMING; a reset brings the device back.", peer =>
        {
            Move(peer, Stop);
            Move(peer, Resuming);
            Received write = peer.Ask(Requests.MigrationWrite([.. Enumerable.Repeat((byte)0xee, 777)]));
            Received end = peer.Ask(Requests.Feature(FeatureChecks.State | FeatureChecks.Set, StateData(Stop)));
            _ = Current(peer);
            if (!write.IsRefusal && !end.IsRefusal)
                return Outcome.Differs("777 bytes of 0xee were accepted as a state");
            peer.MustDo(Requests.Reset());
            uint state = Current(peer);
            return state == Running ? Outcome.Pass() : Outcome.Violation($"after the reset the state is {state}");
        }),
        Expect.Refused("migration.read-while-running", Read, "Data is read in PRE_COPY and STOP_COPY.", _ => Requests.MigrationRead(4096)),
        Expect.Refused("migration.write-while-running", Write, "Data is written in RESUMING.", _ => Requests.MigrationWrite(new byte[16])),
        Expect.Refused("migration.read-4g", Read, "A read of 4 GiB is not allocated.", _ =>
            Requests.MigrationRead(uint.MaxValue, uint.MaxValue)),
        Expect.Refused("migration.read-body-of-7", Read, "The request has 8 bytes; a shorter one is not read past its end.", _ =>
            Requests.MigrationRead(16).Cut(7)),
        Expect.Refused("migration.read-body-of-0", Read, "The request has 8 bytes; a shorter one is not read past its end.", _ =>
            Requests.MigrationRead(16).Cut(0)),
        Expect.Refused("migration.write-body-of-7", Write, "The request has 8 bytes at least; a shorter one is not read past its end.", _ =>
            Requests.MigrationWrite([]).Cut(7)),
        Go("read-more-than-argsz", "The reply's payload fits argsz, or the request is refused.", peer =>
        {
            Move(peer, StopCopy);
            Received reply = peer.Ask(Requests.MigrationRead(4096, argSize: 12));
            return reply.IsRefusal || reply.Body.Length <= 12 ? Outcome.Pass()
                : Outcome.Violation($"{reply.Body.Length} bytes for an argsz of 12");
        }),
        Go("read-4g-when-saving", "A read of 4 GiB is refused, or gives what there is.", peer =>
        {
            Move(peer, StopCopy);
            Received reply = peer.Ask(Requests.MigrationRead(uint.MaxValue, uint.MaxValue));
            _ = Current(peer);
            return Outcome.Pass(reply.IsRefusal ? reply.Refusal : $"{reply.Body.Length - 8} bytes");
        }),
        Go("write-more-than-sent", "As many bytes follow as size says.", peer => Bad(peer, Requests.MigrationWrite(new byte[8], 4096))),
        Go("write-4g", "As many bytes follow as size says.", peer => Bad(peer, Requests.MigrationWrite(new byte[8], uint.MaxValue))),
        Go("leave-while-saving", "A client that leaves in the middle leaves a device that runs.", peer =>
        {
            Move(peer, StopCopy);
            peer.Dispose();
            Peer next = peer.Trial.Open();
            uint state = Current(next);
            next.Dispose();
            return state == Running ? Outcome.Pass() : Outcome.Differs($"the next client finds state {state}");
        }),
    ];

    private static byte[] StateData(uint state) => [.. Requests.Bytes(state), 0, 0, 0, 0];

    private static void Move(Peer peer, uint state) =>
        peer.MustDo(Requests.Feature(FeatureChecks.State | FeatureChecks.Set, StateData(state)));

    private static uint Current(Peer peer) => peer.MustDo(Requests.Feature(FeatureChecks.State | FeatureChecks.Get)).At<uint>(8);

    private static Check Go(string name, string rule, Func<Peer, Outcome> attempt) => new($"migration.{name}", States, rule, trial =>
    {
        Peer peer = trial.Open();
        peer.Need(Requests.Feature(FeatureChecks.Migration | FeatureChecks.Get));
        try
        {
            return attempt(peer);
        }
        finally
        {
            // Some devices keep their state from one client to the next; later checks need a running device.
            peer.Dispose();
            trial.Open().Ask(Requests.Feature(FeatureChecks.State | FeatureChecks.Set, StateData(Running)));
        }
    });

    private static Check Path(string name, params uint[] states) =>
        Go(name, "The transitions between the states are done, or made of those that are.", peer =>
    {
        foreach (uint state in states)
        {
            Move(peer, state);
            if (Current(peer) != state)
                return Outcome.Violation($"state {Current(peer)} after a transition to {state}");
        }

        return Outcome.Pass();
    });

    private static Check NoArc(string name, string rule, params uint[] states) => Go(name, rule, peer =>
    {
        foreach (uint state in states.SkipLast(1))
            Move(peer, state);
        Received reply = peer.Ask(Requests.Feature(FeatureChecks.State | FeatureChecks.Set, StateData(states[^1])));
        _ = Current(peer);
        return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Violation("it was accepted");
    });

    private static Outcome Bad(Peer peer, Request request)
    {
        Move(peer, Stop);
        Move(peer, Resuming);
        Received reply = peer.Ask(request);
        _ = Current(peer);
        return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Violation("it was accepted");
    }
}
