using Vfio.User;

namespace Vfio.Conformance;

/// <summary>DMA_UNMAP.</summary>
internal static class DmaUnmapChecks
{
    private const string Section = "VFIO_USER_DMA_UNMAP", Exactly = "Address and size match one mapping exactly.";
    private const string Nothing = "A range with nothing in it may be refused, or taken for done: it names no mapping, and none is left.";
    private const ulong Page = 0x1000, Base = 0x10000, Size = 0x4000;

    internal static IEnumerable<Check> All =>
    [
        new("dma-unmap.repeats-the-entry", Section, "The reply repeats the entry of the request.", trial =>
        {
            Peer peer = Mapped(trial.Open());
            Received reply = peer.MustDo(Requests.DmaUnmap(Base, Size));
            if (reply.Body.Length < 24)
                return Outcome.Violation($"the reply has {reply.Body.Length} bytes of payload");
            (ulong address, ulong size) = (reply.At<ulong>(8), reply.At<ulong>(16));
            return (address, size) == (Base, Size) ? Outcome.Pass()
                : Outcome.Violation($"the reply has address 0x{address:x} and size 0x{size:x}");
        }),
        Expect.Done("dma-unmap.with-file", Section, "A range that came with a descriptor can be taken away.", peer =>
        {
            peer.Need(Requests.DmaMap(Base, Size).With(peer.Trial.MemoryFile(Size)));
            return Requests.DmaUnmap(Base, Size);
        }),
        Expect.Done("dma-unmap.then-map", Section, "A range that was taken away can be mapped again.", peer =>
        {
            Mapped(peer).MustDo(Requests.DmaUnmap(Base, Size));
            return Requests.DmaMap(Base, Size);
        }),
        Expect.Answered("dma-unmap.nothing-mapped", Section, Nothing, _ => Requests.DmaUnmap(Base, Size)),
        Expect.Answered("dma-unmap.other-address", Section, Nothing, peer => After(peer, Base + Size, Size)),
        Bad("first-part", Exactly, peer => After(peer, Base, Page)),
        Bad("last-part", Exactly, peer => After(peer, Base + Size - Page, Page)),
        Bad("more", Exactly, peer => After(peer, Base, Size + Page)),
        Bad("around", Exactly, peer => After(peer, Base - Page, Size + (2 * Page))),
        Bad("size-0", Exactly, peer => After(peer, Base, 0)),
        Bad("wraps", Exactly, peer => After(peer, Base, ulong.MaxValue)),
        Bad("two-at-once", Exactly, peer =>
        {
            Mapped(peer).Need(Requests.DmaMap(Base + Size, Size));
            return Requests.DmaUnmap(Base, 2 * Size);
        }),
        Expect.Answered("dma-unmap.twice", Section, Nothing, peer =>
        {
            Mapped(peer).MustDo(Requests.DmaUnmap(Base, Size));
            return Requests.DmaUnmap(Base, Size);
        }),
        new("dma-unmap.refused-stays", Section, "A range that was not taken away, for the wrong size, is still there.", trial =>
        {
            Peer peer = Mapped(trial.Open());
            if (!peer.Ask(Requests.DmaUnmap(Base, Page)).IsRefusal)
                return Outcome.Skipped("a part of a mapping was unmapped");
            peer.MustDo(Requests.DmaUnmap(Base, Size));
            return Outcome.Pass();
        }),
        new("dma-unmap.all", Section, "The flags are unused in this version; QEMU sends 2 with address and size 0 for all ranges.", trial =>
        {
            Peer peer = Mapped(trial.Open());
            peer.Need(Requests.DmaMap(0x100000, Size));
            Received reply = peer.Ask(Requests.DmaUnmap(0, 0, flags: 2));
            peer.MustGoOn();
            if (reply.IsRefusal)
                return Outcome.Differs($"refused: {reply.Refusal}");
            bool left = peer.Ask(Requests.DmaMap(Base, 2 * Size)).IsRefusal || peer.Ask(Requests.DmaMap(0x100000, 2 * Size)).IsRefusal;
            return left ? Outcome.Violation("accepted, but a range is still there") : Outcome.Pass();
        }),
        Better("all-with-range", "Flag 2 takes all ranges: an address and a size beside it contradict that.", peer =>
            With(peer, Base, Size, 2)),
        Better("dirty-bitmap-without-room", "Flag 1 asks for a bitmap, which must fit in argsz.", peer => With(peer, Base, Size, 1)),
        Better("flags-unknown", "The flags are unused in this version.", peer => With(peer, Base, Size, 0x80)),
        Better("argsz-0", "argsz is the most that the reply's payload may have, 24 at least.", peer =>
        {
            Mapped(peer);
            return Requests.DmaUnmap(Base, Size, argSize: 0);
        }),
        Expect.Answered("dma-unmap.argsz-4g", Sections.Sizes, "An argsz of 4 GiB is only a bound.", peer =>
        {
            Mapped(peer);
            return Requests.DmaUnmap(Base, Size, argSize: uint.MaxValue);
        }),
        .. new[] { 0, 8, 23 }.Select(bytes => Bad(
            $"body-of-{bytes}", "The request has 24 bytes; a shorter one is not read past its end.", peer =>
                After(peer, Base, Size).Cut(bytes))),
    ];

    private static Peer Mapped(Peer peer)
    {
        peer.Need(Requests.DmaMap(Base, Size));
        return peer;
    }

    private static Request After(Peer peer, ulong address, ulong size)
    {
        Mapped(peer);
        return Requests.DmaUnmap(address, size);
    }

    private static Request With(Peer peer, ulong address, ulong size, uint flags)
    {
        Mapped(peer);
        return Requests.DmaUnmap(address, size, flags);
    }

    private static Check Bad(string name, string rule, Func<Peer, Request> make) =>
        Expect.Refused($"dma-unmap.{name}", Section, rule, make);

    private static Check Better(string name, string rule, Func<Peer, Request> make) =>
        Expect.RefusedBetter($"dma-unmap.{name}", Section, rule, make);
}
