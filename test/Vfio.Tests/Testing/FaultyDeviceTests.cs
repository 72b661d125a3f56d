using System.Buffers.Binary;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Testing;

namespace Vfio.Tests.Testing;

/// <summary>A device fails as it was told to, when it was told to, and otherwise works.</summary>
public sealed class FaultyDeviceTests : IDisposable
{
    // QEMU's docs/specs/edu.rst: liveness check; raise and acknowledge an interrupt.
    private const int BusMaster = 4;
    private const ulong Liveness = 0x04, Raise = 0x60, Acknowledge = 0x64;
    private readonly GuardedFunction _edu = new(new EduFunction());
    private readonly ManualClock _clock = new();
    private readonly FaultyDevice _device;

    public FaultyDeviceTests() => _device = new FaultyDevice(_edu.Open(), _clock);

    [Fact]
    public void Without_a_fault_it_is_the_device()
    {
        using EduDriver driver = new(_device);
        Assert.True(driver.CheckLiveness(0x01020304));
        Assert.Equal(120u, driver.Factorial(5));
    }

    [Fact]
    public async Task Unplugged_it_reads_ones_loses_writes_and_says_that_it_is_gone()
    {
        _device.Add(Fault.Unplugs().From(3));
        Write(Liveness, 0x11111111);
        Assert.Equal(~0x11111111u, Read(Liveness));
        Assert.False(_device.Removed.IsCompleted);
        Assert.Equal(0xffffffffu, Read(Liveness));
        Assert.True(_device.IsUnplugged);
        await _device.Removed.WaitAsync(HangGuard.Timeout, TestContext.Current.CancellationToken);
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(_device.Reset).Errno);
        _device.Clear();
        Assert.Equal(0xffffffffu, Read(Liveness));
    }

    [Fact]
    public void Unplugged_it_masters_no_bus_any_more()
    {
        using GuardedFunction edu = new(new EduFunction());
        IVfioDevice behind = edu.Open();
        using FaultyDevice device = new(behind);
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Assert.Equal(BusMaster, CommandOf(behind) & BusMaster);
        device.Unplug();
        Assert.Equal(0, CommandOf(behind) & BusMaster);
        Assert.Equal(0xffff, CommandOf(device));
    }

    [Fact]
    public void A_register_reads_as_asked_for_as_often_as_asked()
    {
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, Liveness, 0xdeadbeef).From(2).Times(2));
        Write(Liveness, 0);
        Assert.Equal([0xffffffffu, 0xdeadbeefu, 0xdeadbeefu, 0xffffffffu], Enumerable.Range(0, 4).Select(_ => Read(Liveness)));
        _device.Add(Fault.ReadsOnes(RegionIndex.Bar0, 0));
        Assert.Equal(0xffffffffu, Read(0));
        _device.Clear();
        Assert.NotEqual(0xffffffffu, Read(0));
    }

    [Fact]
    public void Writes_are_lost_where_asked()
    {
        Write(Liveness, 1);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, Liveness, Liveness));
        Write(Liveness, 2);
        Assert.Equal(~1u, Read(Liveness));
    }

    [Fact]
    public void The_second_interrupt_is_lost_and_the_others_come()
    {
        _device.Add(Fault.Parse("lose-interrupt@2+1"));
        using EventFd wake = Bind();
        Assert.True(Interrupt(wake, 1));
        Assert.False(Interrupt(wake, 2, comes: false));
        Assert.True(Interrupt(wake, 4));
    }

    [Fact]
    public void An_interrupt_that_came_before_its_vector_is_bound_again_is_not_lost()
    {
        using EventFd first = Bind();
        for (int i = 0; i < 200; i++)
        {
            Write(Raise, 1);
            using EventFd next = Bind();
            Assert.True(first.Wait(HangGuard.Timeout), $"round {i}");
            Write(Acknowledge, 1);
            _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [first.Descriptor]));
        }
    }

    [Fact]
    public void A_late_interrupt_comes_when_its_time_has_passed()
    {
        _device.Add(Fault.DelaysInterrupts(TimeSpan.FromMilliseconds(20)));
        using EventFd wake = Bind();
        Write(Raise, 1);
        SpinWait.SpinUntil(() => _clock.Timers > 0, HangGuard.Timeout);
        _clock.Advance(TimeSpan.FromMilliseconds(19));
        Assert.False(wake.Wait(TimeSpan.Zero));
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(wake.Wait(HangGuard.Timeout));
    }

    [Fact]
    public void Memory_and_resets_are_refused_with_the_errno_that_was_asked_for()
    {
        using SharedMemory memory = SharedMemory.Create("test", 4096);
        SharedDmaMemory shared = new(memory);
        DmaMapping mapping = new(new Iova(0x10000), 4096, DmaAccess.ReadWrite, shared, 0);
        _device.Add(Fault.Parse("refuse-dma=ENOSPC@2"));
        _device.Add(Fault.FailsReset());
        _device.MapDma(mapping);
        Assert.Equal((Errno)28, Assert.Throws<VfioException>(() => _device.MapDma(mapping with { Start = new Iova(0x20000) })).Errno);
        VfioException refusal = Assert.Throws<VfioException>(_device.Reset);
        Assert.Equal((Errno)5, refusal.Errno);
        Assert.Contains("asked for", refusal.Message);
        shared.Release();
    }

    [Fact]
    public void Registers_are_not_offered_for_mmap_for_a_mapped_one_cannot_fail()
    {
        using FaultyDevice device = new(VfioDevice.Open("model:bench"));
        using IVfioDevice plain = VfioDevice.Open("model:bench");
        RegionIndex memory = RegionIndex.Bar(2);
        Assert.True(plain.GetRegion(memory).Flags.HasFlag(RegionFlags.Map));
        RegionInfo info = device.GetRegion(memory);
        Assert.False(info.Flags.HasFlag(RegionFlags.Map));
        Assert.Null(info.File);
        Assert.Empty(info.MmapAreas);
    }

    public void Dispose()
    {
        _device.Dispose();
        _edu.Dispose();
    }

    private static ushort CommandOf(IVfioDevice device)
    {
        byte[] bytes = new byte[2];
        device.ReadRegion(RegionIndex.Config, 4, bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    private EventFd Bind()
    {
        // Command: memory space and bus master; then MSI.
        _device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        EventFd wake = EventFd.Create();
        _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [wake.Descriptor]));
        return wake;
    }

    private bool Interrupt(EventFd wake, uint bits, bool comes = true)
    {
        Write(Raise, bits);
        bool came = wake.Wait(comes ? HangGuard.Timeout : TimeSpan.FromMilliseconds(50));
        Write(Acknowledge, bits);
        return came;
    }

    private uint Read(ulong offset)
    {
        byte[] bytes = new byte[4];
        _device.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private void Write(ulong offset, uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _device.WriteRegion(RegionIndex.Bar0, offset, bytes);
    }
}
