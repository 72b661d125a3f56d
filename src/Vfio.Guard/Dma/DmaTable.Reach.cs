namespace Vfio.Guard.Dma;

/// <content>What a device with threads of its own queries before it waits for memory.</content>
internal sealed partial class DmaTable
{
    /// <summary>How many accesses under way wait for an answer of the memory's owner.</summary>
    internal int AccessesAtOwner => _ownerAccesses.Count;

    /// <summary>Whether an access to a range needs no answer of another process: it is memory of this process, or refused.</summary>
    internal bool IsReachedDirectly(Iova address, ulong length)
    {
        ulong at = address.Value;
        int ticket = _lock.EnterRead();
        try
        {
            while (length > 0)
            {
                ref readonly DmaEntry entry = ref Locate(ticket, at, out ulong into);
                if (into >= entry.Length)
                    return true;
                if (entry.Memory.Shared is null)
                    return false;
                ulong count = Math.Min(length, entry.Length - into);
                length -= count;
                at = unchecked(at + count);
                if (at == 0)
                    return true;
            }

            return true;
        }
        finally
        {
            _lock.ExitRead(ticket);
        }
    }

    /// <summary>Whether the owner of the memory at an address has sent a request while it owes an answer.</summary>
    internal bool IsOwnerAsking(Iova address)
    {
        DmaMemory? memory = null;
        int ticket = _lock.EnterRead();
        ref readonly DmaEntry entry = ref Locate(ticket, address.Value, out ulong into);
        if (into < entry.Length)
        {
            memory = entry.Memory;
            memory.AddReference();
        }

        _lock.ExitRead(ticket);
        bool isAsking = memory is { IsOwnerAsking: true };
        memory?.Release();
        return isAsking;
    }
}
