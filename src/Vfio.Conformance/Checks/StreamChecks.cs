using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>Framing: split messages, and several at once. A stream socket keeps no message boundaries.</summary>
internal static class StreamChecks
{
    internal static IEnumerable<Check> All =>
    [
        Together(2),
        Together(64),
        Expect.Habit("stream.bytes", Sections.Header, "A message may arrive byte by byte: its size says where it ends.", trial =>
        {
            Peer peer = trial.Open();
            foreach (byte one in Requests.DeviceInfo().ToMessage(7))
                peer.Send([one]);
            return Did(peer.Reply(7, Command.DeviceGetInfo));
        }),
        .. new[] { 4, 15, 16, 20 }.Select(Cut),
        Expect.Habit("stream.one-and-a-half", Sections.Header, "The rest of a message may come with the next one.", trial =>
        {
            Peer peer = trial.Open();
            byte[] second = Requests.IrqInfo(0).ToMessage(2);
            peer.Send([.. Requests.DeviceInfo().ToMessage(1), .. second.AsSpan(0, 20)]);
            peer.Reply(1, Command.DeviceGetInfo);
            peer.Send([.. second.AsSpan(20), .. Requests.DeviceInfo().ToMessage(3)]);
            peer.Reply(2, Command.DeviceGetIrqInfo);
            return Did(peer.Reply(3, Command.DeviceGetInfo));
        }),
        new("stream.version-and-more", Sections.Concurrency, "A client may send commands without waiting for the replies to earlier ones.",
            trial =>
        {
            Peer peer = trial.Connect();
            peer.Send([.. Requests.Version().ToMessage(1), .. Requests.DeviceInfo().ToMessage(2)]);
            peer.Reply(1, Command.Version);
            return Did(peer.Reply(2, Command.DeviceGetInfo));
        }),
        new("stream.order", Sections.Concurrency,
            "Commands are processed in the order in which they are received: a read sees the write before it.", trial =>
        {
            Peer peer = trial.Open();
            uint config = trial.Device.Config.Index;
            byte before = peer.MustDo(Requests.Read(config, 0x3c, 1)).At<byte>(16);
            byte[] writes = [.. Requests.Write(config, 0x3c, [0x11]).ToMessage(1),
                .. Requests.Write(config, 0x3c, [(byte)~before]).ToMessage(2)];
            peer.Send([.. writes, .. Requests.Read(config, 0x3c, 1).ToMessage(3), .. Requests.Write(config, 0x3c, [before]).ToMessage(4)]);
            if (peer.Reply(1, Command.RegionWrite).IsRefusal || peer.Reply(2, Command.RegionWrite).IsRefusal)
                return Outcome.Skipped("the interrupt line of config space cannot be written");
            Received read = peer.Reply(3, Command.RegionRead);
            peer.Reply(4, Command.RegionWrite);
            return read.At<byte>(16) == (byte)~before ? Outcome.Pass() : Outcome.Differs("a read does not see the write before it");
        }),
        Left("half-header", "A client that leaves in the middle of a header leaves nothing behind.", message => message[..9]),
        Left("half-body", "A client that leaves in the middle of a body leaves nothing behind.", message => message[..20]),
        Left("unread-reply", "A client that leaves without reading the reply leaves nothing behind.", message => message),
        Left("many-unread", "A client that leaves a thousand replies unread leaves nothing behind.",
            message => [.. Enumerable.Repeat(message, 1000).SelectMany(one => one)]),
    ];

    private static Outcome Did(Received reply) => reply.IsRefusal ? Outcome.Violation($"it was refused: {reply.Refusal}") : Outcome.Pass();

    private static Check Together(int count) => new(
        $"stream.{count}-in-one-send", Sections.Concurrency, "A client may pipeline commands; each is answered.", trial =>
        {
            Peer peer = trial.Open();
            peer.Send([.. Enumerable.Range(1, count).SelectMany(id => Requests.DeviceInfo().ToMessage((ushort)id))]);
            HashSet<ushort> open = [.. Enumerable.Range(1, count).Select(id => (ushort)id)];
            while (open.Count > 0)
            {
                if (peer.Await(out Received? reply) != Arrival.Message)
                    return Outcome.Violation($"{open.Count} of {count} were not answered");
                if (reply!.Header.Command != Command.DeviceGetInfo || !open.Remove(reply.Header.Id))
                    return Outcome.Violation($"an answer to id {reply.Header.Id}, which was not asked or was answered before");
            }

            return Outcome.Pass();
        });

    private static Check Cut(int at) => Expect.Habit(
        $"stream.cut-at-{at}", Sections.Header, "A message may arrive in two parts.", trial =>
        {
            Peer peer = trial.Open();
            byte[] message = Requests.DeviceInfo().ToMessage(7);
            peer.Send(message.AsSpan(0, at));
            // Long enough for the server to see the first part alone.
            if (peer.Await(TimeSpan.FromMilliseconds(20), out _) != Arrival.Silence)
                return Outcome.Differs("the server reacted to half a message");
            peer.Send(message.AsSpan(at));
            return Did(peer.Reply(7, Command.DeviceGetInfo));
        });

    private static Check Left(string name, string rule, Func<byte[], byte[]> part) => new(
        $"stream.left-with-{name}", Sections.Disconnection, rule, trial =>
        {
            Peer peer = trial.Open();
            peer.Send(part(Requests.DeviceInfo().ToMessage(1)));
            peer.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass();
        });
}
