using System.Buffers.Binary;

namespace Vfio.Devices.Nvme;

/// <summary>Moves the data of a command between memory and the controller, by its PRP entries.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 4.3.</remarks>
internal sealed class NvmeData
{
    /// <summary>The largest transfer, MDTS: 4 KiB times 2 to the power of <see cref="LargestShift"/>.</summary>
    internal const int LargestBytes = PageBytes << LargestShift;

    internal const int LargestShift = 5;
    private const int PageBytes = 4096;
    private const int EntryBytes = 8;
    private readonly byte[] _bytes = new byte[LargestBytes];
    private readonly Iova[] _starts = new Iova[1 + (LargestBytes / PageBytes)];
    private readonly byte[] _list = new byte[PageBytes];

    /// <summary>The controller's buffer.</summary>
    internal Span<byte> Bytes => _bytes;

    /// <summary>Writes the first bytes of <see cref="Bytes"/> to memory.</summary>
    internal NvmeOutcome Send(IPciSlot slot, in NvmeCommand command, int count)
    {
        NvmeOutcome outcome = FindPages(slot, command, count);
        Span<byte> rest = _bytes.AsSpan(0, count);
        for (int page = 0; outcome == NvmeOutcome.Success && rest.Length > 0; page++)
        {
            int part = CountInPage(_starts[page], rest.Length);
            if (slot.WriteMemory(_starts[page], rest[..part]) != Errno.None)
                outcome = NvmeOutcome.DataTransferError;
            rest = rest[part..];
        }

        return outcome;
    }

    /// <summary>Reads the first bytes of <see cref="Bytes"/> from memory.</summary>
    internal NvmeOutcome Receive(IPciSlot slot, in NvmeCommand command, int count)
    {
        NvmeOutcome outcome = FindPages(slot, command, count);
        Span<byte> rest = _bytes.AsSpan(0, count);
        for (int page = 0; outcome == NvmeOutcome.Success && rest.Length > 0; page++)
        {
            int part = CountInPage(_starts[page], rest.Length);
            if (slot.ReadMemory(_starts[page], rest[..part]) != Errno.None)
                outcome = NvmeOutcome.DataTransferError;
            rest = rest[part..];
        }

        return outcome;
    }

    private static int CountInPage(Iova start, int left) => Math.Min(left, PageBytes - (int)(start.Value % PageBytes));

    private NvmeOutcome FindPages(IPciSlot slot, in NvmeCommand command, int count)
    {
        if (command.Prp1 % 4 != 0)
            return NvmeOutcome.InvalidPrpOffset;
        _starts[0] = new Iova(command.Prp1);
        int left = count - CountInPage(_starts[0], count);
        if (left == 0)
            return NvmeOutcome.Success;
        int pages = (left + PageBytes - 1) / PageBytes;
        if (pages > 1)
            return ReadLists(slot, command.Prp2, pages);
        _starts[1] = new Iova(command.Prp2);
        return command.Prp2 % PageBytes == 0 ? NvmeOutcome.Success : NvmeOutcome.InvalidPrpOffset;
    }

    private NvmeOutcome ReadLists(IPciSlot slot, ulong list, int pages)
    {
        int found = 0;
        int empty = 0;
        while (found < pages)
        {
            if (list % EntryBytes != 0)
                return NvmeOutcome.InvalidPrpOffset;

            // A list ends with its page; the last entry there points to the next list when pages are still to come.
            int room = (PageBytes - (int)(list % PageBytes)) / EntryBytes;
            int wanted = Math.Min(room, pages - found);
            bool goesOn = pages - found > room;
            Span<byte> entries = _list.AsSpan(0, wanted * EntryBytes);
            if (slot.ReadMemory(new Iova(list), entries) != Errno.None)
                return NvmeOutcome.DataTransferError;
            int here = goesOn ? wanted - 1 : wanted;
            for (int i = 0; i < here; i++)
            {
                ulong page = BinaryPrimitives.ReadUInt64LittleEndian(entries[(i * EntryBytes)..]);
                if (page % PageBytes != 0)
                    return NvmeOutcome.InvalidPrpOffset;
                _starts[1 + found++] = new Iova(page);
            }

            // Lists that hold only a pointer could form a circle.
            if (here == 0 && ++empty > pages)
                return NvmeOutcome.InvalidField;
            list = BinaryPrimitives.ReadUInt64LittleEndian(entries[^EntryBytes..]);
        }

        return NvmeOutcome.Success;
    }
}
