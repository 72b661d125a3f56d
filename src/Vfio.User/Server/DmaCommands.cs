using Vfio.Native;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>DMA_MAP and DMA_UNMAP of one session, and the client's memory behind them.</summary>
internal sealed class DmaCommands : IDisposable
{
    private readonly IVfioDevice _device;
    private readonly int _maxMappings;
    private readonly ulong _maxBytes;
    private readonly SharedFiles _files;
    private readonly ClientMemory _clientMemory;
    private readonly int _maxTransferBytes;

    // The device checks for overlap; this is for what the protocol adds: exact ranges, and a limit. A device, which may be a client of
    // another server, has no question for them.
    private readonly MappingSizes _mappings = new();

    /// <summary>Starts with nothing mapped.</summary>
    /// <param name="device">The device.</param>
    /// <param name="maxMappings">The most live mappings.</param>
    /// <param name="options">Other limits.</param>
    /// <param name="clientMemory">Memory that came without a descriptor; owned.</param>
    internal DmaCommands(IVfioDevice device, int maxMappings, VfioUserServerOptions options, ClientMemory clientMemory)
    {
        _device = device;
        _maxMappings = maxMappings;
        _maxBytes = options.MaxMappedBytes;
        _maxTransferBytes = options.MaxDataTransferBytes;
        _files = new SharedFiles(options.MaxSharedFiles, options.AllowStallingFiles);
        _clientMemory = clientMemory;
    }

    /// <summary>Whether the client has anything mapped; any thread may read it.</summary>
    internal bool HasMappings => _mappings.Count > 0;

    /// <summary>DMA_MAP. The same range a second time is EEXIST.</summary>
    /// <param name="body">The message.</param>
    /// <param name="descriptors">What came with it; the caller keeps it.</param>
    internal Errno Map(ReadOnlySpan<byte> body, ReadOnlySpan<FileDescriptor?> descriptors)
    {
        Errno verdict = RequestValidator.DmaMap(body, descriptors.Length, _mappings.Count, _maxMappings, out DmaMapMessage message);
        if (verdict != Errno.None)
            return verdict;
        if (message.Size > _maxBytes - Math.Min(_maxBytes, _mappings.TotalBytes))
            return Errno.NoMemory;
        Iova start = new(message.Address);
        if (descriptors.Length == 0)
        {
            _device.MapDma(new DmaMapping(start, message.Size, message.Flags, _clientMemory, message.Address));
        }
        else
        {
            bool writable = (message.Flags & DmaAccess.Write) != 0;
            SharedDmaMemory share = _files.Get(descriptors[0]!, message.Offset, message.Size, writable);
            _device.MapDma(new DmaMapping(start, message.Size, message.Flags, share, message.Offset));
        }

        _mappings.Add(message.Address, message.Size);
        return Errno.None;
    }

    /// <summary>DMA_UNMAP: exactly one mapping, or all. A range of whole pages without any mapping is no error: nothing is to do, and
    /// the device cannot reach the range. A client with an IOMMU of its own, as QEMU with intel-iommu, unmaps whole address spaces without
    /// checking what is mapped in them.</summary>
    internal Errno Unmap(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.DmaUnmap(body, out DmaUnmapMessage message);
        if (verdict != Errno.None)
            return verdict;
        if (message.Flags == DmaUnmapFlags.GetDirtyBitmap)
            return UnmapWithBitmap(body, message, reply);
        if (message.Flags == DmaUnmapFlags.All)
        {
            _device.UnmapAllDma();
            _mappings.Clear();
        }
        else
        {
            verdict = CheckMapped(message);
            if (verdict == Errno.NoEntry && IsOfNothing(message))
            {
                reply.Append(message);
                return Errno.None;
            }

            if (verdict != Errno.None)
                return verdict;
            _device.UnmapDma(new Iova(message.Address), message.Size);
            _mappings.Remove(message.Address);
        }

        _files.LetGoOfUnused();
        reply.Append(message);
        return Errno.None;
    }

    /// <summary>Saves all mappings, and the files that they lie in.</summary>
    /// <param name="to">Receives them.</param>
    /// <param name="mappings">The device's mappings.</param>
    internal void Save(HandoverWriter to, IReadOnlyList<DmaMapping> mappings)
    {
        Dictionary<DmaMemory, int> numbers = new() { [_clientMemory] = 0 };
        List<SharedMemory> files = [];
        foreach (DmaMapping mapping in mappings)
        {
            if (mapping.Memory.Shared is SharedMemory shared && numbers.TryAdd(mapping.Memory, numbers.Count))
                files.Add(shared);
        }

        to.Write(files.Count);
        foreach (SharedMemory file in files)
        {
            to.Write(file.Length);
            to.Write(file.IsWritable);
            to.Write(file.File);
        }

        to.Write(mappings.Count);
        foreach (DmaMapping mapping in mappings)
        {
            to.Write(new DmaMapMessage
            {
                ArgSize = (uint)numbers[mapping.Memory],
                Flags = mapping.Access,
                Offset = mapping.MemoryOffset,
                Address = mapping.Start.Value,
                Size = mapping.Length,
            });
        }
    }

    /// <summary>Restores what another process saved.</summary>
    /// <returns>The mappings, for the device.</returns>
    /// <exception cref="VfioException">EPROTO: it is not valid; else why a file cannot be shared.</exception>
    internal List<DmaMapping> Restore(HandoverReader from)
    {
        DmaMemory[] memories = new DmaMemory[from.ReadCount(Protocol.DefaultDmaMaps) + 1];
        memories[0] = _clientMemory;
        for (int i = 1; i < memories.Length; i++)
        {
            ulong length = from.Read<ulong>();
            memories[i] = _files.TakeOver(from.ReadDescriptor(), length, from.ReadBool());
        }

        int count = from.ReadCount(Protocol.DefaultDmaMaps);
        List<DmaMapping> mappings = new(count);
        for (int i = 0; i < count; i++)
        {
            DmaMapMessage message = from.Read<DmaMapMessage>();
            if (message.ArgSize >= (uint)memories.Length)
                throw from.Broken($"file {message.ArgSize}");
            DmaMemory memory = memories[(int)message.ArgSize];
            mappings.Add(new DmaMapping(new Iova(message.Address), message.Size, message.Flags, memory, message.Offset));
            _mappings.Add(message.Address, message.Size);
        }

        return mappings;
    }

    private Errno UnmapWithBitmap(ReadOnlySpan<byte> body, in DmaUnmapMessage message, ReplyBuffer reply)
    {
        if (!_device.TryGet(out IDirtyTracker? tracker))
            return Errno.NotSupported;
        Errno verdict = FeatureValidator.DirtyBitmapOfUnmap(body, message, _maxTransferBytes, out DirtyBitmapMessage bitmap);
        if (verdict == Errno.None)
            verdict = CheckMapped(message);
        if (verdict != Errno.None)
            return verdict;
        reply.Append(message);
        reply.Append(bitmap);
        Span<byte> bits = reply.Append((int)bitmap.Size);
        bits.Clear();
        tracker.UnmapDma(new Iova(message.Address), message.Size, bitmap.PageSize, bits);
        _mappings.Remove(message.Address);
        _files.LetGoOfUnused();
        return Errno.None;
    }

    private Errno CheckMapped(in DmaUnmapMessage message) =>
        !_mappings.TryGet(message.Address, out ulong size) ? Errno.NoEntry
        : size != message.Size ? Errno.InvalidArgument
        : Errno.None;

    private bool IsOfNothing(in DmaUnmapMessage message) =>
        ((message.Address | message.Size) & (Protocol.PageBytes - 1)) == 0
        && message.Size != 0
        && message.Size - 1 <= ulong.MaxValue - message.Address
        && !_mappings.Overlaps(message.Address, message.Size);

    /// <summary>Releases the client's memory; after the device was disposed.</summary>
    public void Dispose()
    {
        _files.Dispose();
        _clientMemory.Release();
    }
}
