using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DEVICE_SET_IRQS: the valid and invalid combinations of its fields.</summary>
internal static class SetIrqsChecks
{
    private const string Section = "VFIO_USER_DEVICE_SET_IRQS";
    private const IrqSetFlags FireNone = IrqSetFlags.DataNone | IrqSetFlags.ActionTrigger;
    private const IrqSetFlags FireBool = IrqSetFlags.DataBool | IrqSetFlags.ActionTrigger;
    private const IrqSetFlags BindEvents = IrqSetFlags.DataEventFd | IrqSetFlags.ActionTrigger;

    private static readonly IrqSetFlags[] Data = [IrqSetFlags.DataNone, IrqSetFlags.DataBool, IrqSetFlags.DataEventFd];
    private static readonly IrqSetFlags[] Actions = [IrqSetFlags.ActionMask, IrqSetFlags.ActionUnmask, IrqSetFlags.ActionTrigger];

    internal static IEnumerable<Check> All =>
    [
        .. Data.SelectMany(data => Actions.Select(action => Legal(data, action))),
        Expect.Done("set-irqs.disable", Section, "A count and start of 0 with DATA_NONE disables all interrupts of the index.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0)),
        Expect.Done("set-irqs.disable-bound", Section, "A count and start of 0 with DATA_NONE disables an index that is in use.", peer =>
        {
            Bind(peer);
            return Requests.SetIrqs(Index(peer), FireNone, 0, 0);
        }),
        Expect.Done("set-irqs.bind-all", Section, "With DATA_EVENTFD comes an eventfd for each interrupt of the range.", peer =>
        {
            uint count = Math.Min(peer.Device.Interrupt.Count, (uint)peer.Device.MaxDescriptors);
            return Requests.SetIrqs(Index(peer), BindEvents, 0, count)
                .With([.. Enumerable.Range(0, (int)count).Select(_ => peer.Trial.Event().Descriptor)]);
        }),
        Expect.Done("set-irqs.unbind", Section, "DATA_EVENTFD without descriptors takes those of the range away.", peer =>
        {
            Bind(peer);
            return Requests.SetIrqs(Index(peer), BindEvents, 0, 1);
        }),
        new("set-irqs.no-payload", Section, "The reply has no payload.", trial =>
        {
            Peer peer = trial.Open();
            int bytes = Bind(peer).Body.Length;
            return bytes == 0 ? Outcome.Pass() : Outcome.Differs($"{bytes} bytes");
        }),
        Bad("data-none-and-bool", "The data flags exclude each other.", (IrqSetFlags)0x23),
        Bad("data-none-and-eventfd", "The data flags exclude each other.", (IrqSetFlags)0x25),
        Bad("data-all", "The data flags exclude each other.", (IrqSetFlags)0x27),
        Bad("data-missing", "One data flag says what data there is.", IrqSetFlags.ActionTrigger),
        Bad("action-mask-and-unmask", "The action flags exclude each other.", (IrqSetFlags)0x19),
        Bad("action-all", "The action flags exclude each other.", (IrqSetFlags)0x39),
        Bad("action-missing", "One action flag says what to do.", IrqSetFlags.DataNone),
        Bad("flags-none", "One data flag and one action flag are set.", IrqSetFlags.None),
        Expect.RefusedBetter("set-irqs.flags-unknown", Section, "Bits 6 and up of the flags mean nothing.",
            peer => Requests.SetIrqs(Index(peer), FireNone | (IrqSetFlags)0x40, 0, 1)),
        Expect.RefusedBetter("set-irqs.flags-top-bit", Section, "Bits 6 and up of the flags mean nothing.",
            peer => Requests.SetIrqs(Index(peer), FireNone | (IrqSetFlags)0x80000000, 0, 1)),
        Range("start-past-the-last", peer => (peer.Device.Interrupt.Count, 1)),
        Range("count-past-the-last", peer => (0, peer.Device.Interrupt.Count + 1)),
        Range("start-4g", _ => (uint.MaxValue, 1)),
        Range("count-4g", _ => (0, uint.MaxValue)),
        Range("sum-wraps", _ => (uint.MaxValue, 2)),
        Range("sum-wraps-to-zero", _ => (0x80000000, 0x80000000)),
        Expect.Refused("set-irqs.index-past-the-last", Section, "Indexes go up to num_irqs; another one is refused.",
            peer => Requests.SetIrqs(peer.Device.Info.InterruptCount, FireNone, 0, 1)),
        Expect.Refused("set-irqs.index-4g", Section, "Indexes go up to num_irqs; another one is refused.",
            _ => Requests.SetIrqs(uint.MaxValue, FireNone, 0, 1)),
        Expect.RefusedBetter("set-irqs.count-0-with-start", Section, "Only a start of 0 gives the count of 0 its meaning.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 1, 0)),
        Expect.RefusedBetter("set-irqs.count-0-bool", Section, "Only DATA_NONE gives the count of 0 its meaning.",
            peer => Requests.SetIrqs(Index(peer), FireBool, 0, 0)),
        Expect.Refused("set-irqs.two-events-for-one", Section, "There is an eventfd for each interrupt of the range, no more.",
            peer => Requests.SetIrqs(Index(peer), BindEvents, 0, 1).With(peer.Trial.Event().Descriptor, peer.Trial.Event().Descriptor)),
        Expect.Refused("set-irqs.one-event-for-two", Section, "There is an eventfd for each interrupt of the range, or none at all.",
            peer => peer.Device.Interrupt.Count < 2
                ? throw CheckEndedException.Skip("no interrupt has two vectors")
                : Requests.SetIrqs(Index(peer), BindEvents, 0, 2).With(peer.Trial.Event().Descriptor)),
        Expect.RefusedBetter("set-irqs.no-eventfd", Section, "What is bound to an interrupt is an eventfd.",
            peer => Requests.SetIrqs(Index(peer), BindEvents, 0, 1).With(peer.Trial.MemoryFile(4096))),
        Expect.Refused("set-irqs.bool-missing", Section, "DATA_BOOL comes with a byte for each interrupt of the range.",
            peer => Requests.SetIrqs(Index(peer), FireBool, 0, 1)),
        Expect.Refused("set-irqs.bool-short", Section, "DATA_BOOL comes with a byte for each interrupt of the range.",
            peer => peer.Device.Interrupt.Count < 2
                ? throw CheckEndedException.Skip("no interrupt has two vectors")
                : Requests.SetIrqs(Index(peer), FireBool, 0, 2, [0])),
        Expect.RefusedBetter("set-irqs.bool-long", Section, "DATA_BOOL comes with a byte for each interrupt of the range, no more.",
            peer => Requests.SetIrqs(Index(peer), FireBool, 0, 1, [0, 0, 0])),
        Expect.Answered("set-irqs.none-with-data", Section, "DATA_NONE has no data: bytes that follow are refused or passed over.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0, [1, 2, 3])),
        Expect.Answered("set-irqs.none-with-descriptor", Section, "DATA_NONE has no descriptors: one is refused or closed.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0).With(peer.Trial.Event().Descriptor)),
        Expect.RefusedBetter("set-irqs.argsz-0", Section, "argsz is the size of the request's payload.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0, argSize: 0)),
        Expect.RefusedBetter("set-irqs.argsz-19", Section, "argsz is the size of the request's payload.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0, argSize: 19)),
        Expect.Answered("set-irqs.argsz-4g", Section, "An argsz that says more than the message has is not believed.",
            peer => Requests.SetIrqs(Index(peer), FireBool, 0, 1, [0], argSize: uint.MaxValue)),
        .. new[] { 0, 4, 12, 19 }.Select(bytes => Expect.Refused(
            $"set-irqs.body-of-{bytes}", Section, "The request has 20 bytes at least; a shorter one is not read past its end.",
            peer => Requests.SetIrqs(Index(peer), FireNone, 0, 0).Cut(bytes))),
    ];

    private static uint Index(Peer peer) => peer.Device.Interrupt.Index;

    private static Received Bind(Peer peer) =>
        peer.Need(Requests.SetIrqs(Index(peer), BindEvents, 0, 1).With(peer.Trial.Event().Descriptor));

    private static Check Legal(IrqSetFlags data, IrqSetFlags action)
    {
        string name = $"{data.ToString()[4..]}-{action.ToString()[6..]}".ToLowerInvariant();
        return new Check(
            $"set-irqs.{name}", Section, "Each kind of data goes with each action; a kind of interrupt that lacks one refuses it.", trial =>
            {
                Peer peer = trial.Open();
                IrqInfoMessage interrupt = trial.Device.Interrupt;
                // As in the kernel, only an interrupt that is in use can be masked.
                if (action != IrqSetFlags.ActionTrigger)
                    Bind(peer);
                Request request = Requests.SetIrqs(interrupt.Index, data | action, 0, 1, data == IrqSetFlags.DataBool ? [1] : null);
                Received reply = peer.Ask(data == IrqSetFlags.DataEventFd ? request.With(trial.Event().Descriptor) : request);
                peer.MustGoOn();
                bool promised = action == IrqSetFlags.ActionTrigger
                    ? data == IrqSetFlags.DataEventFd
                    : data != IrqSetFlags.DataEventFd && interrupt.Flags.HasFlag(InterruptFlags.Maskable);
                if (reply.IsRefusal && promised)
                    return Outcome.Violation($"refused, while DEVICE_GET_IRQ_INFO says that it can: {reply.Refusal}");
                return Outcome.Pass(reply.IsRefusal ? $"refused: {reply.Refusal}" : "accepted");
            });
    }

    private static Check Bad(string name, string rule, IrqSetFlags flags) => Expect.Refused(
        $"set-irqs.{name}", Section, rule, peer =>
        {
            Request request = Requests.SetIrqs(Index(peer), flags, 0, 1, (flags & IrqSetFlags.DataBool) != 0 ? [0] : null);
            return (flags & IrqSetFlags.DataEventFd) != 0 ? request.With(peer.Trial.Event().Descriptor) : request;
        });

    private static Check Range(string name, Func<Peer, (uint Start, uint Count)> range) => Expect.Refused(
        $"set-irqs.{name}", Section, "The range lies among the interrupts that DEVICE_GET_IRQ_INFO counted.", peer =>
        {
            (uint start, uint count) = range(peer);
            return Requests.SetIrqs(Index(peer), FireNone, start, count);
        });
}
