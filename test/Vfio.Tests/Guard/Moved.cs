using System.Diagnostics.CodeAnalysis;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Guard;

/// <summary>A lease of a <see cref="MovableFunction"/>.</summary>
internal sealed class Moved : IDisposable
{
    private readonly List<SharedDmaMemory> _memories = [];

    internal Moved(bool isExpress = true)
    {
        Function = new MovableFunction(isExpress);
        Guarded = new GuardedFunction(Function);
        Reopen();
        Express = isExpress ? Find(0x10) : 0;
    }

    internal MovableFunction Function { get; }

    internal GuardedFunction Guarded { get; }

    internal IVfioDevice Device { get; private set; }

    internal IMigratableDevice Migration => Device.Get<IMigratableDevice>();

    /// <summary>Where the PCI Express capability is.</summary>
    internal int Express { get; }

    [MemberNotNull(nameof(Device))]
    internal void Reopen() => Device = Guarded.Open();

    internal void Write(int offset, uint value)
    {
        int width = offset == 0x3c ? 1 : offset % 4 == 0 && offset is >= 0x10 and < 0x30 ? 4 : 2;
        Device.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value)[..width]);
    }

    internal byte[] ReadAll(RegionIndex region)
    {
        byte[] bytes = new byte[Device.GetRegion(region).Length];
        Device.ReadRegion(region, 0, bytes);
        return bytes;
    }

    internal void MapDma(ulong start, ulong length)
    {
        SharedDmaMemory memory = new(SharedMemory.Create("moved", length));
        _memories.Add(memory);
        Device.MapDma(new DmaMapping(new Iova(start), length, DmaAccess.ReadWrite, memory, 0));
    }

    internal void Bind(InterruptIndex index, int start, params EventFd?[] events) =>
        Device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, start, [.. events.Select(item => item?.Descriptor)]));

    public void Dispose()
    {
        Device.Dispose();
        Guarded.Dispose();
        _memories.ForEach(memory => memory.Release());
    }

    private int Find(byte id)
    {
        byte[] config = ReadAll(RegionIndex.Config);
        int at = config[0x34];
        while (at != 0 && config[at] != id)
            at = config[at + 1];
        return at;
    }
}
