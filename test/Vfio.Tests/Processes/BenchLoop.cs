using System.Buffers.Binary;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>A driver of bench that reads, writes, interrupts, and moves memory that it shares and memory that it is asked for.</summary>
internal sealed class BenchLoop : IDisposable
{
    private const ulong Shared = 0x10000, Asked = 0x20000, Page = 4096;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly VfioUserClient _bench;
    private readonly EventFd[] _events = [EventFd.Create(), EventFd.Create()];
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("bench-loop", Page));
    private readonly User.PrivateMemory _asked = new((int)Page);
    private readonly SharedMemory _bar2;

    internal BenchLoop(VfioUserClient bench)
    {
        _bench = bench;
        bench.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        bench.MapDma(new DmaMapping(new Iova(Shared), Page, DmaAccess.ReadWrite, _memory, 0));
        bench.MapDma(new DmaMapping(new Iova(Asked), Page, DmaAccess.ReadWrite, _asked, 0));
        bench.SetInterrupts(InterruptRequest.Bind(
            InterruptIndex.Msix, InterruptAction.Trigger, 0, [_events[0].Descriptor, _events[1].Descriptor]));
        RegionInfo region = bench.GetRegion(RegionIndex.Bar(2));
        _bar2 = SharedMemory.Map(region.File!, region.FileOffset, region.Length, writable: true);
    }

    internal void Run(CancellationToken end)
    {
        byte[] moved = new byte[8];
        for (ulong round = 0; !end.IsCancellationRequested || round == 0; round++)
        {
            Put(0x08, (uint)round);
            Assert.Equal((uint)round, Get(0x08));
            Put(0x10, (uint)(round & 1));
            Assert.Equal(0u, Get(0x14));
            Assert.True(_events[round & 1].Wait(TestTimeout), "an interrupt was lost");
            Assert.True(_bar2.TryWrite(0, BitConverter.GetBytes(round)));
            Go(2, Shared + 16);
            Assert.True(_memory.Shared.TryRead(16, moved));
            Assert.Equal(round, BitConverter.ToUInt64(moved));
            Go(2, Asked + 24);
            _asked.Read(24, moved);
            Assert.Equal(round, BitConverter.ToUInt64(moved));
        }
    }

    public void Dispose()
    {
        _bar2.Dispose();
        Array.ForEach(_events, bound => bound.Dispose());
        _memory.Release();
        _asked.Release();
    }

    private void Go(uint operation, ulong address)
    {
        _bench.WriteRegion(RegionIndex.Bar0, 0x18, BitConverter.GetBytes(address));
        _bench.WriteRegion(RegionIndex.Bar0, 0x20, BitConverter.GetBytes(8ul));
        Put(0x28, operation);
        Assert.Equal(0u, Get(0x30));
    }

    private uint Get(ulong offset)
    {
        byte[] bytes = new byte[4];
        _bench.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private void Put(ulong offset, uint value) => _bench.WriteRegion(RegionIndex.Bar0, offset, BitConverter.GetBytes(value));
}
