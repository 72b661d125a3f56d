using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Guard;

/// <summary>A plain function, assigned: short ways to what tests do to it.</summary>
internal sealed class Lease : IDisposable
{
    private readonly List<SharedDmaMemory> _memories = [];

    public Lease(FunctionDescription description, params (int Number, BarContent Content, BarType Type)[] bars)
    {
        Function = new PlainFunction(description, bars);
        Guarded = new GuardedFunction(Function);
        Device = Guarded.Open();
    }

    public PlainFunction Function { get; }

    public GuardedFunction Guarded { get; }

    public IVfioDevice Device { get; set; }

    public uint Read(int offset, int width)
    {
        uint value = 0;
        Device.ReadRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value)[..width]);
        return value;
    }

    public void Write(int offset, int width, uint value) =>
        Device.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value)[..width]);

    public uint ReadBar(int bar, ulong offset, int width = 4)
    {
        uint value = 0;
        Device.ReadRegion(RegionIndex.Bar(bar), offset, Blittable.AsBytes(ref value)[..width]);
        return value;
    }

    public void WriteBar(int bar, ulong offset, uint value, int width = 4) =>
        Device.WriteRegion(RegionIndex.Bar(bar), offset, Blittable.AsBytes(ref value)[..width]);

    public SharedMemory MapDma(ulong start, ulong length, DmaAccess access = DmaAccess.ReadWrite)
    {
        SharedDmaMemory memory = new(SharedMemory.Create("lease", length));
        _memories.Add(memory);
        Device.MapDma(new DmaMapping(new Iova(start), length, access, memory, 0));
        return memory.Shared;
    }

    public void Bind(InterruptIndex index, int start, params EventFd?[] events) =>
        Device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, start, [.. events.Select(item => item?.Descriptor)]));

    public void Dispose()
    {
        Device.Dispose();
        Guarded.Dispose();
        foreach (SharedDmaMemory memory in _memories)
            memory.Release();
    }
}
