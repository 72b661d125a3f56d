using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>The namespaces that were attached or detached since the log of them was read: log page 04h. Any thread.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.16.1.5.</remarks>
internal sealed class NvmeChanges
{
    private readonly SortedSet<uint> _spaces = [];

    /// <summary>Adds a namespace.</summary>
    internal void Add(uint space)
    {
        lock (_spaces)
            _spaces.Add(space);
    }

    /// <summary>Writes the log page: numbers, ascending. There are never more than fit.</summary>
    /// <param name="data">Zeros.</param>
    internal void Write(Span<byte> data)
    {
        lock (_spaces)
        {
            int at = 0;
            foreach (uint space in _spaces)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(data[at..], space);
                at += sizeof(uint);
            }
        }
    }

    /// <summary>Forgets them: the driver has read the log.</summary>
    internal void Clear()
    {
        lock (_spaces)
            _spaces.Clear();
    }

    /// <summary>Saves them.</summary>
    internal void Save(StateWriter state)
    {
        lock (_spaces)
        {
            state.Write(_spaces.Count);
            foreach (uint space in _spaces)
                state.Write(space);
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        if (!state.TryRead(out int count) || count is < 0 or > NvmeSettings.MaxNamespaces)
            return false;
        for (int i = 0; i < count; i++)
        {
            if (!state.TryRead(out uint space))
                return false;
            Add(space);
        }

        return true;
    }
}
