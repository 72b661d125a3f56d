using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>The 16 bytes that every message starts with.</summary>
internal static class HeaderChecks
{
    private static readonly ushort[] Ids = [0, 1, 0x7fff, 0x8000, 0xffff];
    private static readonly ushort[] NoCommands = [0, 14, 19, 100, 0x8000, 0xffff];

    internal static IEnumerable<Check> All =>
    [
        .. Ids.Select(Echo),
        new("header.same-id-twice", Sections.Header, "Ids belong to their sender, who may use one for two commands at a time.", trial =>
        {
            Peer peer = trial.Open();
            peer.Send([.. Requests.DeviceInfo().ToMessage(5), .. Requests.IrqInfo(0).ToMessage(5)]);
            Received first = peer.Reply(5, Command.DeviceGetInfo);
            Received second = peer.Reply(5, Command.DeviceGetIrqInfo);
            return first.IsRefusal || second.IsRefusal ? Outcome.Violation("one of them was refused") : Outcome.Pass();
        }),
        new("header.reply-flags", Sections.Header, "A reply has the type 1 and, beside Error, no other flag.", trial =>
        {
            Received reply = trial.Open().MustDo(Requests.DeviceInfo());
            return reply.Header.Flags == MessageFlags.Reply
                ? Outcome.Pass()
                : Outcome.Differs($"flags 0x{(uint)reply.Header.Flags:x}");
        }),
        .. NoCommands.Select(Unknown),
        .. new[] { Command.DmaRead, Command.DmaWrite }.Select(FromServer),
        .. new uint[] { 0, 1, 8, 15 }.Select(TooSmall),
        .. new[] { 16u + (64 << 20), 0x7fffffffu, 0x80000000u, uint.MaxValue }.Select(TooLarge),
        new("header.unasked-reply", Sections.Header,
            "A reply acknowledges a command: one without a command is not executed as a command.", trial =>
        {
            Peer peer = trial.Open();
            peer.Send(Requests.DeviceInfo().ToMessage(9, MessageFlags.Reply));
            return peer.Await(TimeSpan.FromTicks(trial.Timeout.Ticks / 4), out Received? reply) switch
            {
                Arrival.Closed => Outcome.Pass("the server closed the connection"),
                Arrival.Silence => Outcome.Pass("the server passed over it"),
                _ when reply!.IsRefusal => Outcome.Differs($"it was refused like a command: {reply.Refusal}"),
                _ => Outcome.Violation("it was carried out as a command"),
            };
        }),
        .. new uint[] { 2, 7, 15 }.Select(Type),
        Ignored("error-flag", "The Error bit and the error field mean something in replies only.", MessageFlags.Error, 0),
        Ignored("error-field", "The error field is reserved in a command.", MessageFlags.Command, 22),
        Ignored("reserved-flags", "Bits 6 and up of the flags mean nothing yet.", (MessageFlags)0xffffffc0, 0),
    ];

    private static Check Echo(ushort id) => new(
        $"header.id-{id}", Sections.Header, "The message id is echoed in the reply, and so is the command.", trial =>
        {
            Peer peer = trial.Open();
            peer.Send(Requests.DeviceInfo().ToMessage(id));
            return peer.Reply(id, Command.DeviceGetInfo).IsRefusal ? Outcome.Violation("DEVICE_GET_INFO was refused") : Outcome.Pass();
        });

    private static Check Unknown(ushort command) => Expect.Refused(
        $"header.command-{command}", Sections.Commands, $"Every command is answered: {command}, which is none, with an error.",
        _ => new Request((Command)command, new byte[8]));

    private static Check FromServer(Command command) => Expect.Refused(
        $"header.{command.ToString().ToLowerInvariant()}-from-client", Sections.Commands,
        $"{MessageText.NameOf(command)} goes from server to client; the other way it is refused.",
        _ => new Request(command, [.. Requests.Bytes(0x1000ul), .. Requests.Bytes(4ul), 1, 2, 3, 4]));

    private static Check TooSmall(uint size) => new(
        $"header.size-{size}", Sections.Header, "The size counts the header, so it is at least 16.",
        trial => Expect.NotObeyed(trial.Open(), Requests.DeviceInfo().ToMessage(1, size: size)));

    private static Check TooLarge(uint size) => new(
        $"header.size-{size:x}h", Sections.Security, "A size that no message can have is not waited for, let alone allocated.",
        trial => Expect.NotObeyed(trial.Open(), Requests.DeviceInfo().ToMessage(1, size: size), silenceIsFine: true));

    private static Check Type(uint type) => new(
        $"header.type-{type}", Sections.Header, "The types are command and reply; a message of another is not carried out.", trial =>
        {
            Outcome outcome = Expect.NotObeyed(trial.Open(), Requests.DeviceInfo().ToMessage(1, (MessageFlags)type), silenceIsFine: true);
            return outcome.Verdict == Verdict.Differs ? Outcome.Differs("it was passed over") : outcome;
        });

    private static Check Ignored(string name, string rule, MessageFlags flags, uint error) => new(
        $"header.{name}", Sections.Header, rule, trial =>
        {
            Peer peer = trial.Open();
            peer.Send(Requests.DeviceInfo().ToMessage(3, flags, error: error));
            return peer.Await(out Received? reply) switch
            {
                Arrival.Closed => Outcome.Differs("the server closed the connection"),
                Arrival.Silence => Outcome.Violation("no reply"),
                _ => Outcome.Pass(reply!.IsRefusal ? $"refused: {reply.Refusal}" : "answered"),
            };
        });
}
