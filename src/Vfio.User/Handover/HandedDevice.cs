using System.Runtime.InteropServices;
using Vfio.Abstractions;
using Vfio.Native;
using Vfio.User.Server;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>A <see cref="DeviceHandover"/> as bytes and descriptors, without its mappings, which <see cref="DmaCommands"/> has.</summary>
internal static class HandedDevice
{
    private const int MaxStateBytes = 128 << 20;
    private const int MaxItems = 1 << 14;

    /// <summary>Writes it.</summary>
    internal static void Write(HandoverWriter to, DeviceHandover device)
    {
        to.WriteBytes(device.State.Span);
        to.Write(device.Events.Count);
        foreach (BoundEvent bound in device.Events)
        {
            to.Write(new EventRecord { Index = bound.Index.Value, Action = (uint)bound.Action, Vector = bound.Vector });
            to.Write(bound.Event);
        }

        to.Write(device.Memory.Count);
        foreach (RegionMemory memory in device.Memory)
        {
            to.Write(new MemoryRecord { Region = memory.Region.Value, Offset = memory.FileOffset, Length = memory.Length });
            to.Write(memory.File);
        }

        to.Write(device.Doorbells.Count);
        foreach ((RegionIndex region, Doorbell bell) in device.Doorbells)
        {
            to.Write(new DoorbellRecord { Region = region.Value, Width = bell.Width, Offset = bell.Offset, Match = bell.Match ?? 0 });
            to.Write(bell.Match is not null);
            to.Write(bell.Event!.Descriptor);
        }

        to.Write(device.UnboundKinds.Count);
        foreach (InterruptIndex kind in device.UnboundKinds)
            to.Write(kind.Value);
    }

    /// <summary>Reads it; descriptors stay the reader's.</summary>
    /// <exception cref="VfioException">EPROTO: the bytes are not valid.</exception>
    internal static DeviceHandover Read(HandoverReader from, IReadOnlyList<DmaMapping> mappings) => new()
    {
        Mappings = mappings,
        State = from.ReadBytes(MaxStateBytes).ToArray(),
        Events = Many(from, ReadEvent),
        Memory = Many(from, ReadMemory),
        Doorbells = Many(from, ReadDoorbell),
        UnboundKinds = Many(from, ReadUnbound),
    };

    private static T[] Many<T>(HandoverReader from, Func<HandoverReader, T> read)
    {
        T[] items = new T[from.ReadCount(MaxItems)];
        for (int i = 0; i < items.Length; i++)
            items[i] = read(from);
        return items;
    }

    private static BoundEvent ReadEvent(HandoverReader from)
    {
        EventRecord record = from.Read<EventRecord>();
        return new BoundEvent(
            new InterruptIndex(record.Index), (InterruptAction)record.Action, record.Vector, from.ReadDescriptor());
    }

    private static RegionMemory ReadMemory(HandoverReader from)
    {
        MemoryRecord record = from.Read<MemoryRecord>();
        return new RegionMemory(new RegionIndex(record.Region), from.ReadDescriptor(), record.Offset, record.Length);
    }

    private static RegionDoorbell ReadDoorbell(HandoverReader from)
    {
        DoorbellRecord record = from.Read<DoorbellRecord>();
        ulong? match = from.ReadBool() ? record.Match : null;
        EventFd rung = EventFd.TryHold(from.ReadDescriptor()) ?? throw from.Broken("an eventfd");
        return new RegionDoorbell(new RegionIndex(record.Region), new Doorbell(record.Offset, record.Width, match) { Event = rung });
    }

    private static InterruptIndex ReadUnbound(HandoverReader from)
    {
        InterruptIndex kind = new(from.Read<uint>());
        return kind == InterruptIndex.Error || kind == InterruptIndex.Request ? kind : throw from.Broken("kind of interrupt");
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct EventRecord
    {
        internal uint Index;
        internal uint Action;
        internal int Vector;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct MemoryRecord
    {
        internal uint Region;
        internal ulong Offset;
        internal ulong Length;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct DoorbellRecord
    {
        internal uint Region;
        internal int Width;
        internal ulong Offset;
        internal ulong Match;
    }
}
