using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;

namespace Vfio.Conformance;

/// <summary>DMA_MAP.</summary>
internal static class DmaMapChecks
{
    private const string Section = "VFIO_USER_DMA_MAP";
    private const ulong Page = 0x1000, Base = 0x10000, Size = 0x4000;

    internal static IEnumerable<Check> All =>
    [
        Expect.Done("dma-map.with-file", Section, "Memory that comes with a descriptor can be mapped by the server.",
            peer => Requests.DmaMap(Base, Size).With(peer.Trial.MemoryFile(Size))),
        Expect.Done("dma-map.without-file", Section, "Memory that comes without a descriptor is reached by DMA_READ and DMA_WRITE.",
            _ => Requests.DmaMap(Base, Size)),
        Expect.Done("dma-map.read-only", Section, "A range may be readable only.",
            peer => Requests.DmaMap(Base, Size, DmaAccess.Read).With(peer.Trial.MemoryFile(Size))),
        Expect.Done("dma-map.write-only", Section, "A range may be writeable only.",
            peer => Requests.DmaMap(Base, Size, DmaAccess.Write).With(peer.Trial.MemoryFile(Size))),
        Expect.Done("dma-map.file-offset", Section, "offset is where the range starts in the file.",
            peer => Requests.DmaMap(Base, Page, offset: 3 * Page).With(peer.Trial.MemoryFile(Size))),
        Expect.Done("dma-map.adjacent", Section, "A range may start where another ends.", peer =>
        {
            peer.MustDo(Requests.DmaMap(Base, Size));
            return Requests.DmaMap(Base + Size, Size);
        }),
        Expect.Done("dma-map.same-file-twice", Section, "Two ranges may lie in one file.", peer =>
        {
            FileDescriptor file = peer.Trial.MemoryFile(Size);
            peer.MustDo(Requests.DmaMap(Base, Size).With(file));
            return Requests.DmaMap(0x100000, Size).With(file);
        }),
        Expect.Done("dma-map.unsealed-file", Section, "The descriptor may be of any memory that can be mapped.",
            peer => Requests.DmaMap(Base, Size).With(peer.Trial.Own(MemoryFile.CreateUnsealed("vfio-check", Size)))),
        Expect.Answered("dma-map.to-the-top", Section, "The last page of the address space can be mapped or is refused.",
            _ => Requests.DmaMap(ulong.MaxValue - Page + 1, Page)),
        Expect.Answered("dma-map.one-tebibyte", Section,
            "A range is as long as the client says: no work or memory of the server grows with it.",
            _ => Requests.DmaMap(1ul << 40, 1ul << 40)),
        new("dma-map.no-payload", Section, "The reply has no payload.", trial =>
        {
            int bytes = trial.Open().MustDo(Requests.DmaMap(Base, Size)).Body.Length;
            return bytes == 0 ? Outcome.Pass() : Outcome.Differs($"{bytes} bytes");
        }),
        new("dma-map.many", Sections.Version, "As many ranges can be mapped as max_dma_maps says, or 65535; here a thousand.", trial =>
        {
            Peer peer = trial.Open();
            ulong count = Math.Min(1000, trial.Device.Capabilities.MaxDmaMaps ?? 1000);
            FileDescriptor file = trial.MemoryFile(Page);
            for (ulong i = 0; i < count; i++)
                peer.MustDo(Requests.DmaMap(Base + (i * Page), Page).With(file));
            for (ulong i = 0; i < count; i++)
                peer.MustDo(Requests.DmaUnmap(Base + (i * Page), Page));
            return Outcome.Pass($"{count}");
        }),
        new("dma-map.same-twice", Section, "A range over one that exists is refused with EEXIST, the same range too.",
            trial => Overlap(trial, Base, Size, Outcome.Differs)),
        Over("head", Base - Page, 2 * Page),
        Over("tail", Base + Size - Page, 2 * Page),
        Over("inside", Base + Page, Page),
        Over("around", Base - Page, Size + (2 * Page)),
        Over("same-start", Base, Page),
        Over("same-end", Base + Size - Page, Page),
        Bad("size-0", "A range has some bytes.", _ => Requests.DmaMap(Base, 0)),
        Bad("wraps", "A range does not go over the end of the address space.", _ => Requests.DmaMap(ulong.MaxValue - Page + 1, 2 * Page)),
        Bad("wraps-far", "A range does not go over the end of the address space.", _ => Requests.DmaMap(Base, ulong.MaxValue - Page + 1)),
        Better("address-unaligned", "Ranges are made of the pages that were agreed on.", _ => Requests.DmaMap(Base + 1, Page)),
        Better("size-unaligned", "Ranges are made of the pages that were agreed on.", _ => Requests.DmaMap(Base, Page + 1)),
        Better("offset-unaligned", "A file is mapped by pages.", peer =>
            Requests.DmaMap(Base, Page, offset: 1).With(peer.Trial.MemoryFile(Size))),
        Better("offset-without-file", "offset is zero where no descriptor comes.", _ => Requests.DmaMap(Base, Page, offset: Page)),
        Better("past-the-file", "A range lies inside its file.", peer => Requests.DmaMap(Base, 2 * Size).With(peer.Trial.MemoryFile(Size))),
        Better("offset-past-the-file", "A range lies inside its file.", peer =>
            Requests.DmaMap(Base, Page, offset: Size).With(peer.Trial.MemoryFile(Size))),
        Better("offset-wraps", "A range lies inside its file.",
            peer => Requests.DmaMap(Base, 2 * Page, offset: ulong.MaxValue - Page + 1).With(peer.Trial.MemoryFile(Size))),
        Better("flags-0", "A range is readable, writeable or both.", _ => Requests.DmaMap(Base, Page, DmaAccess.None)),
        Better("flags-unknown", "Bits 2 and up of the flags mean nothing.", _ => Requests.DmaMap(Base, Page, (DmaAccess)0x13)),
        Better("two-files", "One descriptor is sent.", peer =>
            Requests.DmaMap(Base, Page).With(peer.Trial.MemoryFile(Page), peer.Trial.MemoryFile(Page))),
        Better("eventfd", "The descriptor can be mapped.", peer => Requests.DmaMap(Base, Page).With(peer.Trial.Event().Descriptor)),
        Better("argsz-0", "argsz is the size of the request's payload, 32.", _ => Requests.DmaMap(Base, Page, argSize: 0)),
        Better("argsz-31", "argsz is the size of the request's payload, 32.", _ => Requests.DmaMap(Base, Page, argSize: 31)),
        .. new[] { 0, 8, 31 }.Select(bytes => Bad(
            $"body-of-{bytes}", "The request has 32 bytes; a shorter one is not read past its end.", _ =>
                Requests.DmaMap(Base, Page).Cut(bytes))),
        new("dma-map.refused-is-not-there", Section, "A range that was refused can be mapped rightly afterwards.", trial =>
        {
            Peer peer = trial.Open();
            if (!peer.Ask(Requests.DmaMap(Base, 2 * Size).With(trial.MemoryFile(Size))).IsRefusal)
                return Outcome.Skipped("a range past its file was accepted");
            peer.MustDo(Requests.DmaMap(Base, Size).With(trial.MemoryFile(Size)));
            return Outcome.Pass();
        }),
    ];

    private static Check Over(string name, ulong address, ulong size) => new(
        $"dma-map.overlap-{name}", Section, "A range over one that exists is refused with EEXIST.",
        trial => Overlap(trial, address, size, Outcome.Violation));

    private static Outcome Overlap(Trial trial, ulong address, ulong size, Func<string, Outcome> accepted)
    {
        Peer peer = trial.Open();
        FileDescriptor file = trial.MemoryFile(Size * 2);
        peer.MustDo(Requests.DmaMap(Base, Size).With(file));
        Received reply = peer.Ask(Requests.DmaMap(address, size).With(file));
        peer.MustGoOn();
        if (!reply.IsRefusal)
            return accepted("it was accepted");
        return reply.Header.Error == (uint)Errno.Exists ? Outcome.Pass()
            : Outcome.Violation($"refused, but not with EEXIST: {reply.Refusal}");
    }

    private static Check Bad(string name, string rule, Func<Peer, Request> make) => Expect.Refused($"dma-map.{name}", Section, rule, make);

    private static Check Better(string name, string rule, Func<Peer, Request> make) =>
        Expect.RefusedBetter($"dma-map.{name}", Section, rule, make);
}
