using System.Buffers.Binary;

namespace Vfio.Devices.Nvme;

/// <summary>Moves the data of a command between memory and the controller, by its PRP entries or its SGL.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 4.1.</remarks>
internal sealed class NvmeData
{
    /// <summary>The largest transfer, MDTS: 4 KiB times 2 to the power of <see cref="LargestShift"/>.</summary>
    internal const int LargestBytes = PageBytes << LargestShift;

    internal const int LargestShift = 8;

    /// <summary>Most descriptors of an SGL, those of segments included; the driver decides how it parts its memory, not how long it keeps
    /// this thread.</summary>
    internal const int MaxDescriptors = 4096;

    private const int PageBytes = 4096;
    private const int EntryBytes = 8;
    private const int DescriptorBytes = 16;

    /// <summary>What each queue has from the start: commands of this size are most of all.</summary>
    private const int FirstBytes = 128 << 10;

    private readonly byte[] _list = new byte[PageBytes];
    private (Iova Start, int Length)[] _pieces = new (Iova, int)[1 + (FirstBytes / PageBytes)];
    private byte[] _bytes = new byte[FirstBytes];
    private int _count;

    /// <summary>The controller's buffer, for a transfer of this size.</summary>
    internal Span<byte> Take(int count)
    {
        if (count > _bytes.Length)
            _bytes = new byte[count <= LargestBytes / 2 ? LargestBytes / 2 : LargestBytes];
        return _bytes.AsSpan(0, count);
    }

    /// <summary>Writes the first bytes of the buffer to memory.</summary>
    internal NvmeOutcome Send(IPciSlot slot, in NvmeCommand command, int count)
    {
        NvmeOutcome outcome = FindPieces(slot, command, count);
        Span<byte> rest = Take(count);
        for (int i = 0; outcome == NvmeOutcome.Success && i < _count; i++)
        {
            (Iova start, int length) = _pieces[i];
            if (slot.WriteMemory(start, rest[..length]) != Errno.None)
                outcome = NvmeOutcome.DataTransferError;
            rest = rest[length..];
        }

        return outcome;
    }

    /// <summary>Reads the first bytes of the buffer from memory.</summary>
    internal NvmeOutcome Receive(IPciSlot slot, in NvmeCommand command, int count)
    {
        NvmeOutcome outcome = FindPieces(slot, command, count);
        Span<byte> rest = Take(count);
        for (int i = 0; outcome == NvmeOutcome.Success && i < _count; i++)
        {
            (Iova start, int length) = _pieces[i];
            if (slot.ReadMemory(start, rest[..length]) != Errno.None)
                outcome = NvmeOutcome.DataTransferError;
            rest = rest[length..];
        }

        return outcome;
    }

    private static int CountInPage(ulong start, int left) => Math.Min(left, PageBytes - (int)(start % PageBytes));

    private void Add(ulong start, int length)
    {
        // One access for what is contiguous.
        if (_count > 0 && _pieces[_count - 1].Start.Value + (ulong)_pieces[_count - 1].Length == start)
        {
            _pieces[_count - 1].Length += length;
            return;
        }

        if (_count == _pieces.Length)
            Array.Resize(ref _pieces, 2 * _pieces.Length);
        _pieces[_count++] = (new Iova(start), length);
    }

    private NvmeOutcome FindPieces(IPciSlot slot, in NvmeCommand command, int count)
    {
        _count = 0;
        return command.Pointer switch
        {
            0 => FindPages(slot, command, count),
            1 => FindSegments(slot, command, count),
            _ => NvmeOutcome.InvalidField,
        };
    }

    private NvmeOutcome FindPages(IPciSlot slot, in NvmeCommand command, int count)
    {
        if (command.Prp1 % 4 != 0)
            return NvmeOutcome.InvalidPrpOffset;
        int first = CountInPage(command.Prp1, count);
        Add(command.Prp1, first);
        int left = count - first;
        if (left == 0)
            return NvmeOutcome.Success;
        if (left > PageBytes)
            return ReadLists(slot, command.Prp2, left);
        Add(command.Prp2, left);
        return command.Prp2 % PageBytes == 0 ? NvmeOutcome.Success : NvmeOutcome.InvalidPrpOffset;
    }

    private NvmeOutcome ReadLists(IPciSlot slot, ulong list, int left)
    {
        int pages = (left + PageBytes - 1) / PageBytes;
        int empty = 0;
        while (left > 0)
        {
            if (list % EntryBytes != 0)
                return NvmeOutcome.InvalidPrpOffset;

            // A list ends with its page; the last entry there points to the next list when pages are still to come.
            int missing = (left + PageBytes - 1) / PageBytes;
            int room = (PageBytes - (int)(list % PageBytes)) / EntryBytes;
            int wanted = Math.Min(room, missing);
            bool goesOn = missing > room;
            Span<byte> entries = _list.AsSpan(0, wanted * EntryBytes);
            if (slot.ReadMemory(new Iova(list), entries) != Errno.None)
                return NvmeOutcome.DataTransferError;
            int here = goesOn ? wanted - 1 : wanted;
            for (int i = 0; i < here; i++)
            {
                ulong page = BinaryPrimitives.ReadUInt64LittleEndian(entries[(i * EntryBytes)..]);
                if (page % PageBytes != 0)
                    return NvmeOutcome.InvalidPrpOffset;
                Add(page, Math.Min(left, PageBytes));
                left -= Math.Min(left, PageBytes);
            }

            // Lists that hold only a pointer could form a circle.
            if (here == 0 && ++empty > pages)
                return NvmeOutcome.InvalidField;
            list = BinaryPrimitives.ReadUInt64LittleEndian(entries[^EntryBytes..]);
        }

        return NvmeOutcome.Success;
    }

    /// <summary>Follows an SGL: a data block in the command, or segments of descriptors of which the last may lead to another segment.</summary>
    private NvmeOutcome FindSegments(IPciSlot slot, in NvmeCommand command, int count)
    {
        const int DataBlock = 0x0, Segment = 0x2, LastSegment = 0x3;
        ulong address = command.Prp1;
        long length = (uint)command.Prp2;
        int type = (int)(command.Prp2 >> 60);
        int left = count;
        int subtype = (int)(command.Prp2 >> 56 & 0xf);
        if (subtype != 0 || type is not (DataBlock or Segment or LastSegment))
            return NvmeOutcome.InvalidSglType;
        if (type == DataBlock)
            return length == count ? AddBlock(address, length, ref left) : NvmeOutcome.InvalidSglLength;

        int seen = 0;
        bool isLast = type == LastSegment;
        while (true)
        {
            long descriptors = length / DescriptorBytes;
            if (length % DescriptorBytes != 0 || descriptors == 0)
                return NvmeOutcome.InvalidSglSegment;
            seen += (int)Math.Min(descriptors, MaxDescriptors);
            if (seen > MaxDescriptors || descriptors > MaxDescriptors)
                return NvmeOutcome.TooManySglDescriptors;
            bool isFollowed = false;
            for (long done = 0; done < descriptors && !isFollowed;)
            {
                Span<byte> part = _list.AsSpan(0, (int)Math.Min((descriptors - done) * DescriptorBytes, PageBytes));
                if (slot.ReadMemory(new Iova(address + (ulong)(done * DescriptorBytes)), part) != Errno.None)
                    return NvmeOutcome.DataTransferError;
                for (; part.Length > 0; part = part[DescriptorBytes..])
                {
                    done++;
                    ulong start = BinaryPrimitives.ReadUInt64LittleEndian(part);
                    uint size = BinaryPrimitives.ReadUInt32LittleEndian(part[8..]);
                    type = part[15] >> 4;
                    if ((part[15] & 0xf) != 0)
                        return NvmeOutcome.InvalidSglType;
                    if (type is Segment or LastSegment)
                    {
                        // Only the last descriptor of a segment that is not the last leads on.
                        if (isLast || done != descriptors)
                            return NvmeOutcome.InvalidSglSegment;
                        (address, length, isLast, isFollowed) = (start, size, type == LastSegment, true);
                        break;
                    }

                    NvmeOutcome outcome = type == DataBlock ? AddBlock(start, size, ref left) : NvmeOutcome.InvalidSglType;
                    if (outcome != NvmeOutcome.Success)
                        return outcome;
                }
            }

            if (!isFollowed)
                return left > 0 ? NvmeOutcome.InvalidSglLength : isLast ? NvmeOutcome.Success : NvmeOutcome.InvalidSglSegment;
        }
    }

    private NvmeOutcome AddBlock(ulong start, long length, ref int left)
    {
        if (length > left)
            return NvmeOutcome.InvalidSglLength;
        if (length > 0)
            Add(start, (int)length);
        left -= (int)length;
        return NvmeOutcome.Success;
    }
}
