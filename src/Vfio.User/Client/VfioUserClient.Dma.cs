using Vfio.Native;

namespace Vfio.User;

/// <content>DMA.</content>
public sealed partial class VfioUserClient
{
    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        string operation = "DMA_MAP";
        if (mapping.Length == 0 || mapping.Length - 1 > ulong.MaxValue - mapping.Start.Value || mapping.Length > ulong.MaxValue - mapping.MemoryOffset)
            throw new VfioException(operation, Name, Errno.InvalidArgument, $"{mapping.Length} bytes at {mapping.Start} are no range");
        lock (_gate)
        {
            if (_mappings.Overlaps(mapping.Start, mapping.Length))
                throw new VfioException(operation, Name, Errno.Exists, $"part of {mapping.Length} bytes at {mapping.Start} is mapped already");
            SharedMemory? shared = mapping.Memory.Shared;
            DmaMapMessage message = new()
            {
                ArgSize = (uint)Blittable.SizeOf<DmaMapMessage>(),
                Flags = mapping.Access,
                Offset = shared is null ? 0 : shared.FileOffset + mapping.MemoryOffset,
                Address = mapping.Start.Value,
                Size = mapping.Length,
            };
            ReadOnlySpan<FileDescriptor> descriptors = shared is null ? default : [shared.File];
            // The server may ask for the memory as soon as it has the message.
            _mappings.Add(mapping);
            _twin?.Start();
            bool mapped = false;
            try
            {
                Errno error = _channel.Request(Command.DmaMap, Blittable.AsBytes(ref message), default, descriptors, out _);
                if (error != Errno.None)
                    throw new VfioException(operation, Name, error, $"{mapping.Length} bytes at {mapping.Start}");
                mapped = true;
            }
            finally
            {
                if (!mapped && _mappings.Find(mapping.Start, mapping.Length, out int place, out _) == Errno.None)
                    _mappings.RemoveAt(place);
            }

            KeepPump();
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_gate)
        {
            Errno found = length == 0 || length - 1 > ulong.MaxValue - start.Value
                ? Errno.InvalidArgument
                : _mappings.Find(start, length, out int _, out int _);
            if (found != Errno.None)
                throw new VfioException("DMA_UNMAP", Name, found, $"{length} bytes at {start}");
            _mappings.Find(start, length, out int first, out int count);
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                bytes += _mappings.All[first].Length;
                Unmap(_mappings.All[first].Start, _mappings.All[first].Length, DmaUnmapFlags.None);
                _mappings.RemoveAt(first);
            }

            KeepPump();
            return bytes;
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        lock (_gate)
        {
            // The flag is QEMU's and libvfio-user's; a server of the bare specification refuses it.
            if (_mappings.Count > 1 && TryUnmap(default, 0, DmaUnmapFlags.All) == Errno.None)
                _mappings.Clear();
            while (_mappings.Count > 0)
            {
                DmaMapping last = _mappings.All[^1];
                Unmap(last.Start, last.Length, DmaUnmapFlags.None);
                _mappings.RemoveAt(_mappings.Count - 1);
            }

            KeepPump();
        }
    }

    private void Unmap(Iova start, ulong length, DmaUnmapFlags flags)
    {
        Errno error = TryUnmap(start, length, flags);
        if (error != Errno.None)
            throw new VfioException("DMA_UNMAP", Name, error, $"{length} bytes at {start}");
    }

    private Errno TryUnmap(Iova start, ulong length, DmaUnmapFlags flags)
    {
        DmaUnmapMessage message = new()
        {
            ArgSize = (uint)Blittable.SizeOf<DmaUnmapMessage>(),
            Flags = flags,
            Address = start.Value,
            Size = length,
        };
        return _channel.Request(Command.DmaUnmap, Blittable.AsBytes(ref message), default, default, out _);
    }

    /// <summary>Starts or ends the thread that answers, by whether the server may ask.</summary>
    private void KeepPump()
    {
        if (_twin is not null)
        {
            if (_options.AlwaysAnswer || _mappings.Count > 0)
                _twin.Start();
            return;
        }

        _retired.RemoveAll(pump => !pump.IsAlive);
        bool needed = _options.AlwaysAnswer || _mappings.ByMessage > 0;
        if (needed && _pump is null)
        {
            _pump = new DmaPump(_gate, _channel);
        }
        else if (!needed && _pump is not null)
        {
            _pump.Stop();
            _retired.Add(_pump);
            _pump = null;
        }
    }
}
