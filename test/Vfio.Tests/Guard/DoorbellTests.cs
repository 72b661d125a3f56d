using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Guard;

/// <summary>Registers that are rung by eventfd, in the guard.</summary>
public sealed class DoorbellTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly GuardedFunction _guarded = new(new BellFunction());
    private readonly IVfioDevice _device;
    private readonly EventFd _interrupt = EventFd.Create();

    public DoorbellTests()
    {
        _device = _guarded.Open();
        _device.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [_interrupt.Descriptor]));
    }

    public void Dispose()
    {
        _device.Dispose();
        _guarded.Dispose();
        _interrupt.Dispose();
    }

    [Fact]
    public void A_ring_is_a_write()
    {
        Bell(BellFunction.Any).Event!.Signal();
        Assert.True(_interrupt.Wait(TestTimeout));
        Assert.Equal((1u, 0u), (Read(0), Read(4)));
        Bell(BellFunction.OnlySeven).Event!.Signal();
        Assert.True(_interrupt.Wait(TestTimeout));
        Assert.Equal((1u, 1u), (Read(0), Read(4)));
    }

    [Fact]
    public void A_write_by_message_arrives_as_ever()
    {
        _device.WriteRegion(RegionIndex.Bar0, BellFunction.Any, [1, 0, 0, 0]);
        _device.WriteRegion(RegionIndex.Bar0, BellFunction.OnlySeven, [8, 0]);
        Assert.Equal((2u, 0u), (Read(0), Read(4)));
    }

    [Fact]
    public void A_doorbell_says_what_rings_it()
    {
        Doorbell any = Bell(BellFunction.Any);
        Doorbell seven = Bell(BellFunction.OnlySeven);
        Assert.Equal((4, null, 2, 7ul), (any.Width, any.Match, seven.Width, seven.Match));
        Assert.True(any.IsRungBy(0x1000, 4, 99) && !any.IsRungBy(0x1000, 2, 99) && !any.IsRungBy(0x1004, 4, 99));
        Assert.True(seven.IsRungBy(0x1008, 2, 7) && !seven.IsRungBy(0x1008, 2, 8));
        Assert.Same(any.Event, Bell(BellFunction.Any).Event);
        Assert.Empty(_device.GetDoorbells(RegionIndex.Bar(1)));
        Assert.Empty(_device.GetDoorbells(RegionIndex.Config));
    }

    [Fact]
    public void A_doorbell_that_is_signalled_while_decoding_is_off_has_no_effect()
    {
        _device.WriteRegion(RegionIndex.Config, 4, [4, 0]);
        Doorbell bell = Bell(BellFunction.Any);
        bell.Event!.Signal();
        Assert.True(SpinWait.SpinUntil(() => !Poll.IsReady(bell.Event.Descriptor, forWriting: false), TestTimeout));
        _device.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        Assert.Equal(0u, Read(0));
    }

    [Fact]
    public void A_fault_of_the_device_is_reported_as_an_error_and_ends_nothing()
    {
        using EventFd error = EventFd.Create();
        _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Error, InterruptAction.Trigger, 0, [error.Descriptor]));
        Bell(BellFunction.Faulty).Event!.Signal();
        Assert.True(error.Wait(TestTimeout));
        A_ring_is_a_write();
    }

    [Fact]
    public void The_next_user_has_doorbells_of_its_own()
    {
        Doorbell mine = Bell(BellFunction.Any);
        FileDescriptor descriptor = mine.Event!.Descriptor;
        _device.Dispose();
        Assert.True(descriptor.IsClosed);
        using IVfioDevice next = _guarded.Open();
        Assert.NotSame(mine.Event, next.GetDoorbells(RegionIndex.Bar0)[0].Event);
    }

    [Theory]
    [InlineData(1, 0ul, 4, null)]
    [InlineData(0, 0x2000ul, 4, null)]
    [InlineData(0, 2ul, 4, null)]
    [InlineData(0, 0ul, 3, null)]
    [InlineData(0, 0ul, 0, null)]
    [InlineData(0, 0ul, 2, 0x10000ul)]
    public void What_is_no_register_cannot_be_a_doorbell(int bar, ulong offset, int width, ulong? match)
    {
        using BellFunction function = new();
        Assert.Throws<ArgumentException>(() => function.AddDoorbell(bar, offset, width, match));
    }

    private Doorbell Bell(ulong offset) => _device.GetDoorbells(RegionIndex.Bar0).Single(bell => bell.Offset == offset);

    private uint Read(ulong offset)
    {
        uint value = 0;
        _device.ReadRegion(RegionIndex.Bar0, offset, Blittable.AsBytes(ref value));
        return value;
    }
}
