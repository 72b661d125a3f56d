using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DMA_READ and DMA_WRITE, this side being the client that answers them.</summary>
internal static class DmaTransferChecks
{
    private const string Read = "VFIO_USER_DMA_READ", Write = "VFIO_USER_DMA_WRITE";
    private const ulong Start = 0x20000;
    private const int Size = 0x2000;

    internal static IEnumerable<Check> All =>
    [
        new("dma-transfer.round-trip", Read, "Memory that came without a descriptor is read and written by messages.", trial =>
        {
            Peer peer = trial.Open();
            DmaDriver driver = DmaDriver.For(peer);
            DmaPeer memory = new(peer, Start, Size);
            driver.Fetch(peer, Start + 0x10, 0x800);
            driver.Store(peer, Start + 0x1000, 0x800);
            if (memory.Fault is string fault)
                return Outcome.Violation(fault);
            bool same = memory.Memory.Slice(0x10, 0x800).SequenceEqual(memory.Memory.Slice(0x1000, 0x800));
            return same ? Outcome.Pass($"{memory.Asked.Count} requests") : Outcome.Violation("what was written is not what was read");
        }),
        new("dma-transfer.small-limit", Sections.ReadWrite, "count is at most the client's max_data_xfer_size.", trial =>
        {
            Peer peer = trial.Open("""{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":512}}""");
            DmaDriver driver = DmaDriver.For(peer);
            DmaPeer memory = new(peer, Start, Size);
            driver.Fetch(peer, Start, 0x800);
            driver.Store(peer, Start + 0x1000, 0x800);
            ulong most = memory.Asked.Count == 0 ? 0 : memory.Asked.Max(asked => asked.Transfer.Count);
            return most <= 512 ? Outcome.Pass($"{memory.Asked.Count} requests")
                : Outcome.Violation($"{most} bytes were asked for where the client takes 512");
        }),
        new("dma-transfer.read-only", "VFIO_USER_DMA_MAP", "A range that is only readable is not written.",
            trial => NotAsked(trial, DmaAccess.Read, Command.DmaWrite, Start, unmap: false)),
        new("dma-transfer.write-only", "VFIO_USER_DMA_MAP", "A range that is only writeable is not read.",
            trial => NotAsked(trial, DmaAccess.Write, Command.DmaRead, Start, unmap: false)),
        new("dma-transfer.not-mapped", Read, "An address was exported with DMA_MAP before it is asked for.",
            trial => NotAsked(trial, DmaAccess.ReadWrite, Command.DmaRead, Start + 0x100000, unmap: false)),
        new("dma-transfer.over-the-end", Read, "An address was exported with DMA_MAP before it is asked for.",
            trial => NotAsked(trial, DmaAccess.ReadWrite, Command.DmaRead, Start + Size - 0x10, unmap: false)),
        new("dma-transfer.after-unmap", "VFIO_USER_DMA_UNMAP", "A range that was taken away is not used any more.",
            trial => NotAsked(trial, DmaAccess.ReadWrite, Command.DmaRead, Start, unmap: true)),
        Spoilt("refused", Read, "A refusal of the client ends the transfer, not the server.",
            (reply, request) =>
                new Request(reply.Command, []).ToMessage(request.Header.Id, MessageFlags.Reply | MessageFlags.Error, error: 14)),
        Spoilt("short-data", Sections.Security, "An answer with less data than asked for does not end the server.",
            (reply, request) => reply.Cut(reply.Body.Length - 1).ToMessage(request.Header.Id, MessageFlags.Reply)),
        Spoilt("long-data", Sections.Security, "An answer with more data than asked for does not end the server.",
            (reply, request) => reply.Add(new byte[64]).ToMessage(request.Header.Id, MessageFlags.Reply)),
        Spoilt("no-body", Sections.Security, "An answer without a body does not end the server.",
            (reply, request) => reply.Cut(0).ToMessage(request.Header.Id, MessageFlags.Reply)),
        Spoilt("other-id", Sections.Header, "An answer to another id is not taken for this one.",
            (reply, request) => reply.ToMessage((ushort)(request.Header.Id + 0x100), MessageFlags.Reply)),
        Spoilt("other-count", Sections.Security, "An answer that announces 4 GiB does not end the server.", (reply, request) =>
        {
            byte[] body = [.. reply.Body];
            body.AsSpan(8, 8).Fill(0xff);
            return new Request(reply.Command, body).ToMessage(request.Header.Id, MessageFlags.Reply);
        }),
        Spoilt("silence", Sections.Security, "A client that leaves instead of answering does not end the server.", (_, _) => null),
        new("dma-transfer.short-count", Write, "The reply to a write has a count of 4 bytes in the specification's table; clients send 8.",
            trial =>
        {
            Peer peer = trial.Open();
            DmaDriver driver = DmaDriver.For(peer);
            DmaPeer memory = new(peer, Start, Size);
            driver.Fetch(peer, Start, 0x100);
            memory.Spoil = (reply, request) =>
                (reply.Command == Command.DmaWrite ? reply.Cut(12) : reply).ToMessage(request.Header.Id, MessageFlags.Reply);
            try
            {
                driver.Store(peer, Start, 0x100);
                peer.MustGoOn();
                return Outcome.Pass();
            }
            catch (CheckEndedException ended) when (ended.Outcome.Verdict == Verdict.Violation)
            {
                return Outcome.Differs($"with 4 bytes: {ended.Outcome.Reason}");
            }
        }),
    ];

    private static Outcome NotAsked(Trial trial, DmaAccess access, Command command, ulong address, bool unmap)
    {
        Peer peer = trial.Open();
        DmaDriver driver = DmaDriver.For(peer);
        DmaPeer memory = new(peer, Start, Size, access);
        if (unmap)
            peer.MustDo(Requests.DmaUnmap(Start, Size));
        if (command == Command.DmaRead)
            driver.Fetch(peer, address, 0x20);
        else
            driver.Store(peer, address, 0x20);
        peer.MustGoOn();
        // Of a transfer that runs over the end of its range, the first part may be done.
        bool strayed = memory.Fault is not null || (unmap && memory.Asked.Count > 0)
            || (address == Start && memory.Asked.Exists(asked => asked.Command == command));
        return strayed ? Outcome.Violation(memory.Fault ?? $"{MessageText.NameOf(command)} was sent") : Outcome.Pass();
    }

    private static Check Spoilt(string name, string section, string rule, Func<Request, Received, byte[]?> spoil) => new(
        $"dma-transfer.{name}", section, rule, trial =>
        {
            Peer peer = trial.Open();
            DmaDriver driver = DmaDriver.For(peer);
            DmaPeer memory = new(peer, Start, Size) { Spoil = spoil };
            string fate = "it went on";
            try
            {
                driver.Fetch(peer, Start, 0x100);
            }
            catch (CheckEndedException ended) when (ended.Outcome.Verdict == Verdict.Violation)
            {
                // A server may end the session, or keep waiting; it must take the next client once this one has left.
                fate = ended.Outcome.Reason;
            }

            if (memory.Asked.Count == 0)
                return Outcome.Violation("no DMA_READ was sent");
            peer.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass(fate);
        });
}
