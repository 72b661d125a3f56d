using Vfio.Native;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>State that must not outlive a client.</summary>
internal static class DisconnectChecks
{
    internal static IEnumerable<Check> All =>
    [
        new("disconnect.unmaps", Sections.Disconnection, "All memory of a client that left is unmapped: the next one can map there.",
            trial =>
        {
            Peer first = trial.Open();
            first.Need(Requests.DmaMap(0x10000, 0x1000).With(trial.MemoryFile(0x1000)));
            first.Dispose();
            Peer second = trial.Open();
            Received reply = second.Ask(Requests.DmaMap(0x10000, 0x1000));
            return reply.IsRefusal ? Outcome.Violation($"the next client finds the mapping: {reply.Refusal}") : Outcome.Pass();
        }),
        new("disconnect.unbinds", Sections.Disconnection, "Eventfds of a client that left are not signalled.", trial =>
        {
            Peer first = trial.Open();
            uint index = trial.Device.Interrupt.Index;
            EventFd events = trial.Event();
            first.Need(Requests.SetIrqs(index, IrqSetFlags.DataEventFd | IrqSetFlags.ActionTrigger, 0, 1).With(events.Descriptor));
            first.Dispose();
            Peer second = trial.Open();
            second.Ask(Requests.SetIrqs(index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 1));
            return events.Drain() == 0 ? Outcome.Pass() : Outcome.Violation("the eventfd of the client before was signalled");
        }),
        new("disconnect.before-version", Sections.Disconnection, "A client that says nothing and leaves does not end the server.", trial =>
        {
            trial.Connect().Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass();
        }),
        new("disconnect.half-version", Sections.Disconnection, "A client that leaves in the middle of VERSION does not end the server.",
            trial =>
        {
            Peer peer = trial.Connect();
            peer.Send(Requests.Version().ToMessage(1).AsSpan(0, 30));
            peer.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass();
        }),
        new("disconnect.often", Sections.Disconnection, "Fifty clients that come and go leave a server that serves the next.", trial =>
        {
            for (int i = 0; i < 50; i++)
            {
                using Peer peer = trial.Open();
                peer.Ask(Requests.DmaMap(0x10000, 0x1000).With(trial.MemoryFile(0x1000)));
            }

            trial.Open().MustGoOn();
            return Outcome.Pass();
        }),
        new("disconnect.many-mappings", Sections.Disconnection,
            "A client that leaves a thousand mappings leaves them to be cleaned up, in bounded time.", trial =>
        {
            Peer peer = trial.Open();
            FileDescriptor file = trial.MemoryFile(0x1000);
            ulong count = Math.Min(1000, trial.Device.Capabilities.MaxDmaMaps ?? 1000);
            for (ulong i = 0; i < count; i++)
                peer.Need(Requests.DmaMap(0x10000 + (i * 0x1000), 0x1000).With(file));
            peer.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass();
        }),
    ];
}
