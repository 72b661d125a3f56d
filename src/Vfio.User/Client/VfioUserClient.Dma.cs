namespace Vfio.User;

/// <content>DMA.</content>
public sealed partial class VfioUserClient
{
    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        const string Operation = "DMA_MAP";
        if (mapping.Length == 0
            || mapping.Length - 1 > ulong.MaxValue - mapping.Start.Value
            || mapping.Length > ulong.MaxValue - mapping.MemoryOffset)
        {
            throw new VfioException(Operation, Name, Errno.InvalidArgument, $"{mapping.Length} bytes at {mapping.Start} are no range");
        }

        lock (_lock)
        {
            if (_mappings.Overlaps(mapping.Start, mapping.Length))
            {
                throw new VfioException(
                    Operation, Name, Errno.Exists, $"part of {mapping.Length} bytes at {mapping.Start} is mapped already");
            }

            _mappings.Add(mapping);
            bool mapped = false;
            try
            {
                Map(mapping);
                mapped = true;
            }
            finally
            {
                if (!mapped && _mappings.Find(mapping.Start, mapping.Length, out int place, out _) == Errno.None)
                    _mappings.RemoveAt(place);
            }

            Connection.KeepAnswering();
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_lock)
        {
            int first = 0;
            int count = 0;
            Errno found = length == 0 || length - 1 > ulong.MaxValue - start.Value
                ? Errno.InvalidArgument
                : _mappings.Find(start, length, out first, out count);
            if (found != Errno.None)
                throw new VfioException("DMA_UNMAP", Name, found, $"{length} bytes at {start}");
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                bytes += _mappings.All[first].Length;
                UnmapAt(first);
            }

            Connection.KeepAnswering();
            return bytes;
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        lock (_lock)
        {
            if (_mappings.Count > 1 && Ask(static connection => connection.TryUnmapAll()))
                _mappings.Clear();
            while (_mappings.Count > 0)
                UnmapAt(_mappings.Count - 1);
            Connection.KeepAnswering();
        }
    }

    // Not sent again: it is among the mappings already, so that the reconnection maps it.
    private void Map(in DmaMapping mapping) => TrySend(mapping, static (connection, mapping) => connection.Map(mapping));

    // Sent again, for a reconnection has mapped it.
    private void UnmapAt(int place)
    {
        Send(_mappings.All[place], static (connection, mapping) => connection.Unmap(mapping.Start, mapping.Length));
        _mappings.RemoveAt(place);
    }
}
