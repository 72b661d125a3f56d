using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.User.Client;

/// <summary>The interrupt and decoding settings of a client, to send again to a server that was restarted.</summary>
/// <remarks>Guarded by the client's lock. Holds the eventfds open.</remarks>
internal sealed class ClientState : IDisposable
{
    private const int CommandOffset = 4;
    private const byte DecodeBits = 3;
    private readonly Dictionary<(InterruptIndex Index, InterruptAction Action), SortedDictionary<int, FileDescriptor>> _bound = [];
    private readonly HashSet<(InterruptIndex Index, int Vector)> _masked = [];
    private byte _decode;

    /// <summary>Records a request that was carried out.</summary>
    internal void Note(in InterruptRequest request)
    {
        if (request.IsDisable)
        {
            Forget(request.Index);
            return;
        }

        for (int i = 0; i < request.Count; i++)
        {
            if (request.Data == InterruptData.Events)
                Bind(request.Index, request.Action, request.Start + i, request.Events[i]);
            else if (request.Action != InterruptAction.Trigger && (request.Data == InterruptData.None || request.Bools[i] != 0))
                SetMasked(request.Index, request.Start + i, request.Action == InterruptAction.Mask);
        }
    }

    /// <summary>Records which address spaces were enabled: bits 1:0 of Command (PCI Local Bus 3.0, section 6.2.2).</summary>
    internal void Note(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (region == RegionIndex.Config && offset <= CommandOffset && offset + (ulong)source.Length > CommandOffset)
            _decode = (byte)(source[CommandOffset - (int)offset] & DecodeBits);
    }

    /// <summary>As the other, for several writes.</summary>
    internal void Note(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            Note(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }
    }

    /// <summary>Sends the settings to a server. Bus mastering stays off: the device has lost the addresses that its driver had
    /// written.</summary>
    internal void Replay(ServerConnection server)
    {
        foreach (((InterruptIndex index, InterruptAction action), SortedDictionary<int, FileDescriptor> vectors) in _bound)
            Replay(server, index, action, vectors);
        foreach ((InterruptIndex index, int vector) in _masked)
            server.SetInterrupts(InterruptRequest.ForAll(index, InterruptAction.Mask, vector, 1));
        if (_decode != 0 && server.Info.Flags.HasFlag(DeviceFlags.Pci))
            server.WriteRegion(RegionIndex.Config, CommandOffset, [_decode, 0]);
    }

    /// <summary>Fires every vector that is bound, ERR included: interrupts are lost while there is no server, and a waiting driver checks
    /// its
    /// device.</summary>
    internal void Fire()
    {
        foreach (((InterruptIndex index, InterruptAction action), SortedDictionary<int, FileDescriptor> vectors) in _bound)
        {
            if (action != InterruptAction.Trigger || index == InterruptIndex.Request)
                continue;
            foreach (FileDescriptor vector in vectors.Values)
            {
                using EventFd? signal = EventFd.TryHold(vector);
                signal?.Signal();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SortedDictionary<int, FileDescriptor> vectors in _bound.Values)
        {
            foreach (FileDescriptor vector in vectors.Values)
                vector.DangerousRelease();
        }

        _bound.Clear();
    }

    private static void Replay(
        ServerConnection server, InterruptIndex index, InterruptAction action, SortedDictionary<int, FileDescriptor> vectors)
    {
        List<FileDescriptor?> run = [];
        int start = 0;
        foreach ((int vector, FileDescriptor descriptor) in vectors)
        {
            if (run.Count > 0 && vector != start + run.Count)
            {
                server.SetInterrupts(InterruptRequest.Bind(index, action, start, CollectionsMarshal.AsSpan(run)));
                run.Clear();
            }

            if (run.Count == 0)
                start = vector;
            run.Add(descriptor);
        }

        if (run.Count > 0)
            server.SetInterrupts(InterruptRequest.Bind(index, action, start, CollectionsMarshal.AsSpan(run)));
    }

    private void Bind(InterruptIndex index, InterruptAction action, int vector, FileDescriptor? descriptor)
    {
        ref SortedDictionary<int, FileDescriptor>? vectors =
            ref CollectionsMarshal.GetValueRefOrAddDefault(_bound, (index, action), out _);
        vectors ??= [];
        bool isHeld = false;
        descriptor?.DangerousAddRef(ref isHeld);
        if (vectors.Remove(vector, out FileDescriptor? old))
            old.DangerousRelease();
        if (descriptor is not null)
            vectors.Add(vector, descriptor);
        if (action == InterruptAction.Trigger)
            SetMasked(index, vector, false);
    }

    private void SetMasked(InterruptIndex index, int vector, bool isMasked)
    {
        if (isMasked)
            _masked.Add((index, vector));
        else
            _masked.Remove((index, vector));
    }

    private void Forget(InterruptIndex index)
    {
        foreach (InterruptAction action in Enum.GetValues<InterruptAction>())
        {
            if (!_bound.Remove((index, action), out SortedDictionary<int, FileDescriptor>? vectors))
                continue;
            foreach (FileDescriptor vector in vectors.Values)
                vector.DangerousRelease();
        }

        _masked.RemoveWhere(masked => masked.Index == index);
    }
}
