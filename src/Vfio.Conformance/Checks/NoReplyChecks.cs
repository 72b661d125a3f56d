using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>The flag No_reply on every command, whether it succeeds or not.</summary>
internal static class NoReplyChecks
{
    internal static IEnumerable<Check> All =>
    [
        Silent("device-info", _ => Requests.DeviceInfo()),
        Silent("region-info", _ => Requests.RegionInfo(0)),
        Silent("irq-info", _ => Requests.IrqInfo(0)),
        Silent("region-io-fds", _ => Requests.RegionIoFds(0)),
        Silent("set-irqs", peer => Requests.SetIrqs(peer.Device.Interrupt.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 0)),
        Silent("dma-map", _ => Requests.DmaMap(0x10000, 0x1000)),
        Silent("dma-map-with-file", peer => Requests.DmaMap(0x10000, 0x1000).With(peer.Trial.MemoryFile(0x1000))),
        Silent("dma-unmap", peer =>
        {
            peer.Need(Requests.DmaMap(0x10000, 0x1000));
            return Requests.DmaUnmap(0x10000, 0x1000);
        }),
        Silent("region-read", peer => Requests.Read(peer.Device.Config.Index, 0, 4)),
        Silent("region-write", peer => Requests.Write(peer.Device.Config.Index, 0x3c, [0])),
        Silent("write-multi", peer => Requests.WriteMulti(1, (0x3c, peer.Device.Config.Index, 1, 0))),
        Silent("feature", _ => Requests.Feature(0x40001)),
        Silent("migration-read", _ => Requests.MigrationRead(16)),
        Silent("reset", _ => Requests.Reset()),
        Silent("failing-read", _ => Requests.Read(1000, 0, 4)),
        Silent("failing-unmap", _ => Requests.DmaUnmap(0x5000, 0)),
        Silent("short-body", _ => Requests.RegionInfo(0).Cut(7)),
        Silent("unknown-command", _ => new Request((Command)99, [])),
        new("no-reply.is-carried-out", Sections.Concurrency, "A command with No_reply is carried out before the reply to the next one.",
            trial =>
        {
            Peer peer = trial.Open();
            peer.Send(Requests.DmaMap(0x10000, 0x1000), MessageFlags.NoReply);
            Received reply = peer.Ask(Requests.DmaMap(0x10000, 0x2000));
            return reply.IsRefusal ? Outcome.Pass() : Outcome.Violation("the mapping is not there");
        }),
    ];

    private static Check Silent(string name, Func<Peer, Request> make) => new(
        $"no-reply.{name}", Sections.Header, "A command with No_reply is not answered, not even with an error; the next one is.", trial =>
        {
            Peer peer = trial.Open();
            Request request = make(peer);
            peer.Send(request, MessageFlags.NoReply);
            ushort id = peer.Send(Requests.DeviceInfo());
            return peer.Await(out Received? reply) switch
            {
                Arrival.Closed => Outcome.Violation("the server closed the connection"),
                Arrival.Silence => Outcome.Violation("the next command was not answered"),
                _ when reply!.Header.Id != id => Outcome.Violation(
                    $"{MessageText.NameOf(reply.Header.Command)} was answered{(reply.IsRefusal ? $" with {reply.Refusal}" : "")}"),
                _ => Outcome.Pass(),
            };
        });
}
