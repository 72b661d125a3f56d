using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DEVICE_RESET.</summary>
internal static class ResetChecks
{
    private const string Section = "VFIO_USER_DEVICE_RESET";

    internal static IEnumerable<Check> All =>
    [
        new("reset.as-promised", Section, "A device whose info has the RESET flag can be reset; the reply has no payload.", trial =>
        {
            Peer peer = trial.Open();
            Received reply = peer.Ask(Requests.Reset());
            peer.MustGoOn();
            bool promised = trial.Device.Info.Flags.HasFlag(DeviceFlags.Reset);
            if (!promised)
                return Outcome.Pass(reply.IsRefusal ? $"not promised, and refused: {reply.Refusal}" : "done, though not promised");
            if (reply.IsRefusal)
                return Outcome.Violation($"promised, and refused: {reply.Refusal}");
            return reply.Body.Length == 0 ? Outcome.Pass() : Outcome.Differs($"{reply.Body.Length} bytes of payload");
        }),
        Expect.Answered("reset.twice", Section, "A device that was just reset can be reset again.", peer =>
        {
            peer.Ask(Requests.Reset());
            return Requests.Reset();
        }),
        Expect.Answered("reset.with-mappings", Section, "A device can be reset while memory is mapped and interrupts are bound.", peer =>
        {
            peer.Need(Requests.DmaMap(0x10000, 0x1000).With(peer.Trial.MemoryFile(0x1000)));
            peer.Need(Requests.SetIrqs(peer.Device.Interrupt.Index, IrqSetFlags.DataEventFd | IrqSetFlags.ActionTrigger, 0, 1)
                .With(peer.Trial.Event().Descriptor));
            return Requests.Reset();
        }),
        new("reset.keeps-mappings", Section, "A reset is of the device: memory stays mapped.", trial =>
        {
            Peer peer = trial.Open();
            peer.Need(Requests.DmaMap(0x10000, 0x1000));
            peer.Need(Requests.Reset());
            // Taken twice where servers take an identical mapping: a range that overlaps it is refused by all.
            Received reply = peer.Ask(Requests.DmaMap(0x10000, 0x2000));
            return reply.IsRefusal ? Outcome.Pass() : Outcome.Differs("the mapping is gone");
        }),
        Expect.Answered("reset.with-body", Section, "The request has no payload: one is refused or passed over.", _ =>
            Requests.Reset().Add(new byte[32])),
        Expect.Answered("reset.pipelined", Sections.Concurrency, "Commands behind a reset wait for it.", peer =>
        {
            peer.Send(Requests.Reset(), MessageFlags.NoReply);
            return Requests.Read(peer.Device.Config.Index, 0, 4);
        }),
    ];
}
