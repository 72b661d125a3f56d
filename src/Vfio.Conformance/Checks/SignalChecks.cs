using Vfio.Native;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DEVICE_SET_IRQS: whether eventfds are signalled, by interrupts that the client triggers itself.</summary>
internal static class SignalChecks
{
    private const string Section = "VFIO_USER_DEVICE_SET_IRQS";
    private const IrqSetFlags Bind = IrqSetFlags.DataEventFd | IrqSetFlags.ActionTrigger;

    internal static IEnumerable<Check> All =>
    [
        new("signal.trigger", Section, "A client may trigger an interrupt itself: its eventfd is signalled.", trial =>
        {
            Line line = new(trial);
            line.Fire();
            return line.IsSignalled(line.First) ? Outcome.Pass() : Outcome.Violation("the eventfd was not signalled");
        }),
        new("signal.trigger-bool", Section, "With DATA_BOOL the action is done where the byte is not 0, and nowhere else.", trial =>
        {
            Line line = new(trial);
            line.Fire([0]);
            if (line.First.Drain() != 0)
                return Outcome.Violation("the eventfd was signalled by a byte of 0");
            line.Fire([1]);
            return line.IsSignalled(line.First) ? Outcome.Pass() : Outcome.Violation("the eventfd was not signalled by a byte of 1");
        }),
        new("signal.rebind", Section, "A second eventfd takes the place of the first.", trial =>
        {
            Line line = new(trial);
            EventFd second = trial.Event();
            line.Peer.Need(Requests.SetIrqs(line.Index, Bind, 0, 1).With(second.Descriptor));
            line.Fire();
            if (!line.IsSignalled(second))
                return Outcome.Violation("the second eventfd was not signalled");
            return line.First.Drain() == 0 ? Outcome.Pass() : Outcome.Violation("the first eventfd was signalled");
        }),
        new("signal.disable", Section, "An index that was disabled signals no eventfd.", trial =>
        {
            Line line = new(trial);
            line.Peer.MustDo(Requests.SetIrqs(line.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 0));
            line.Peer.Ask(Requests.SetIrqs(line.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 1));
            return line.First.Drain() == 0 ? Outcome.Pass() : Outcome.Violation("the eventfd was signalled");
        }),
        new("signal.unbind", Section, "DATA_EVENTFD without descriptors takes the eventfd away.", trial =>
        {
            Line line = new(trial);
            line.Peer.Need(Requests.SetIrqs(line.Index, Bind, 0, 1));
            line.Peer.Ask(Requests.SetIrqs(line.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 1));
            return line.First.Drain() == 0 ? Outcome.Pass() : Outcome.Violation("the eventfd was signalled");
        }),
        new("signal.unmask", Section, "An interrupt that was masked and unmasked is signalled again.", trial =>
        {
            Line line = new(trial);
            if (!trial.Device.Interrupt.Flags.HasFlag(InterruptFlags.Maskable))
                return Outcome.Skipped("the interrupt cannot be masked");
            line.Peer.MustDo(Requests.SetIrqs(line.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionMask, 0, 1));
            line.Fire();
            bool early = line.First.Drain() != 0;
            line.Peer.MustDo(Requests.SetIrqs(line.Index, IrqSetFlags.DataNone | IrqSetFlags.ActionUnmask, 0, 1));
            line.Fire();
            if (!line.IsSignalled(line.First))
                return Outcome.Violation("after unmasking the eventfd is not signalled");
            return Outcome.Pass(early ? "what the client itself triggers passes the mask" : "");
        }),
        new("signal.full-counter", Sections.Security, "An eventfd whose counter is full does not stop the server.", trial =>
        {
            Line line = new(trial);
            for (int i = 0; i < 64; i++)
                line.Fire();
            line.Peer.MustGoOn();
            return Outcome.Pass();
        }),
        new("signal.closed-eventfd", Sections.Security, "An eventfd that the client closed does not stop the server.", trial =>
        {
            Line line = new(trial);
            line.First.Dispose();
            line.Fire();
            line.Peer.MustGoOn();
            return Outcome.Pass();
        }),
    ];

    /// <summary>An interrupt with an eventfd bound to its first vector.</summary>
    private sealed class Line
    {
        internal Line(Trial trial)
        {
            Index = trial.Device.Interrupt.Index;
            Peer = trial.Open();
            First = trial.Event();
            Peer.MustDo(Requests.SetIrqs(Index, Bind, 0, 1).With(First.Descriptor));
        }

        internal uint Index { get; }

        internal Peer Peer { get; }

        internal EventFd First { get; }

        internal void Fire() => Peer.Need(Requests.SetIrqs(Index, IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger, 0, 1));

        internal void Fire(byte[] which) =>
            Peer.Need(Requests.SetIrqs(Index, IrqSetFlags.DataBool | IrqSetFlags.ActionTrigger, 0, (uint)which.Length, which));

        internal bool IsSignalled(EventFd events) => events.Wait(Peer.Trial.Timeout);
    }
}
