using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>VERSION: the numbers, and when it may be sent.</summary>
internal static class VersionChecks
{
    internal static IEnumerable<Check> All =>
    [
        new("version.agrees", Sections.Version, "A server replies to a VERSION that it can speak with the major version proposed.", trial =>
        {
            Received reply = trial.Connect().MustDo(Requests.Version());
            ushort major = reply.At<ushort>(0);
            return major == 0 ? Outcome.Pass() : Outcome.Violation($"major {major} where 0 was proposed");
        }),
        Minor(0),
        Minor(1),
        Minor(ushort.MaxValue),
        new("version.major-unknown", Sections.Version, "A server that cannot speak the proposed major version does not agree on it.",
            trial => Expect.NotObeyed(trial.Connect(), Requests.Version(major: 0x7777).ToMessage(1))),
        new("version.second", Sections.Connection, "VERSION is the initial message: it is not agreed on twice.", trial =>
        {
            Peer peer = trial.Open();
            Received reply = peer.Ask(Requests.Version());
            return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Differs("a second VERSION was accepted");
        }),
        .. Enumerable.Range(0, 4).Select(Short),
        Early(Requests.DeviceInfo()),
        Early(Requests.RegionInfo(0)),
        Early(Requests.DmaMap(0x10000, 0x1000)),
        Early(Requests.Read(7, 0, 4)),
        Early(Requests.Reset()),
        new("version.no-reply", Sections.Header, "A command with No_reply is carried out and not answered, VERSION too.", trial =>
        {
            Peer peer = trial.Connect();
            peer.Send(Requests.Version(), MessageFlags.NoReply);
            ushort id = peer.Send(Requests.DeviceInfo());
            return peer.Await(out Received? reply) switch
            {
                Arrival.Closed => Outcome.Differs("the server closed the connection"),
                Arrival.Silence => Outcome.Violation("the next command was not answered"),
                _ when reply!.Header.Command == Command.Version => Outcome.Violation("VERSION was answered"),
                _ => reply.Header.Id == id ? Outcome.Pass() : Outcome.Violation($"an answer to id {reply.Header.Id}"),
            };
        }),
        new("version.again-after-refusal", Sections.Connection, "A server that turned one client away serves the next.", trial =>
        {
            Peer refused = trial.Connect();
            refused.Send(Requests.Version(major: 9));
            _ = refused.Await(out _);
            refused.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass();
        }),
    ];

    private static Check Minor(ushort proposed) => new(
        $"version.minor-{proposed}", Sections.Version, $"The minor version in the reply is at most the {proposed} that was proposed.",
            trial =>
        {
            Received reply = trial.Connect().MustDo(Requests.Version(minor: proposed));
            ushort minor = reply.At<ushort>(2);
            return minor <= proposed ? Outcome.Pass($"minor {minor}") : Outcome.Violation($"minor {minor}");
        });

    private static Check Short(int bytes) => new(
        $"version.body-of-{bytes}", Sections.Version, "The two version numbers take 4 bytes: a shorter message is not a VERSION.",
        trial => Expect.NotObeyed(trial.Connect(), Requests.Version(json: null).Cut(bytes).ToMessage(1)));

    private static Check Early(Request request)
    {
        string name = MessageText.NameOf(request.Command);
        return new Check(
            $"version.{name.ToLowerInvariant().Replace('_', '-')}-before", Sections.Connection,
            $"The first message is VERSION: {name} before it is not carried out.",
            trial => Expect.NotObeyed(trial.Connect(), request.ToMessage(1)));
    }
}
