namespace Vfio.Conformance;

/// <summary>DEVICE_GET_IRQ_INFO.</summary>
internal static class IrqInfoChecks
{
    private const string Section = "VFIO_USER_DEVICE_GET_IRQ_INFO";

    internal static IEnumerable<Check> All =>
    [
        new("irq-info.every-index", Section, "Every index below num_irqs is answered, with its own index and a payload of 16 bytes.",
            trial =>
        {
            Peer peer = trial.Open();
            for (uint i = 0; i < trial.Device.Info.InterruptCount; i++)
            {
                Received reply = peer.MustDo(Requests.IrqInfo(i));
                if (reply.At<uint>(8) != i || reply.Body.Length < 16 || reply.At<uint>(0) < 16)
                    return Outcome.Violation($"index {i}: the reply has index {reply.At<uint>(8)}, argsz {reply.At<uint>(0)}, {reply.Body.Length} bytes");
            }

            return Outcome.Pass();
        }),
        new("irq-info.counts", Section, "count is how many interrupts of a kind there are: one pin, 32 of MSI, 2048 of MSI-X at most.",
            trial =>
        {
            uint[] most = [1, 32, 2048];
            foreach (Vfio.User.Wire.IrqInfoMessage interrupt in trial.Device.Interrupts.Take(3))
            {
                if (trial.Device.IsPci && interrupt.Count > most[interrupt.Index])
                    return Outcome.Violation($"{interrupt.Count} of index {interrupt.Index}");
            }

            return Outcome.Pass();
        }),
        .. new uint[] { 0, 8, 15 }.Select(size =>
            Expect.Fits($"irq-info.argsz-{size}", Sections.Sizes, size, (_, argSize) => Requests.IrqInfo(0, argSize))),
        Expect.Answered("irq-info.argsz-4g", Sections.Sizes, "An argsz of 4 GiB is only a bound.", _ => Requests.IrqInfo(0, uint.MaxValue)),
        Outside("past-the-last", peer => peer.Device.Info.InterruptCount),
        Outside("2g", _ => 0x80000000),
        Outside("4g", _ => uint.MaxValue),
        .. new[] { 0, 8, 15 }.Select(bytes => Expect.Refused(
            $"irq-info.body-of-{bytes}", Section, "The request has 16 bytes; a shorter one is not read past its end.", _ =>
                Requests.IrqInfo(0).Cut(bytes))),
    ];

    private static Check Outside(string name, Func<Peer, uint> index) => Expect.Refused(
        $"irq-info.index-{name}", Section, "Indexes go up to num_irqs; another one is refused.", peer => Requests.IrqInfo(index(peer)));
}
