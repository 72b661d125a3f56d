using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class GuardedInterruptTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    private readonly Lease _lease = new(
        new FunctionDescription("x", 1, 2)
        {
            InterruptPin = 1,
            MsiVectors = 4,
            MsiHasMasks = true,
            Msix = new MsixDescription(70, Bar: 2, 0x1000, 0x2000),
        },
        (2, new MemoryBar("msix", 0x4000), BarType.Memory32));

    private readonly EventFd _event = EventFd.Create();
    private readonly EventFd _other = EventFd.Create();

    public void Dispose()
    {
        _lease.Dispose();
        _event.Dispose();
        _other.Dispose();
    }

    [Fact]
    public void Counts_and_flags_describe_the_interrupts()
    {
        int[] counts = [.. Enumerable.Range(0, 5).Select(i => _lease.Device.GetInterrupt(new InterruptIndex((uint)i)).Count)];
        Assert.Equal([1, 4, 70, 1, 1], counts);
        Assert.Equal(
            InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked,
            _lease.Device.GetInterrupt(InterruptIndex.Intx).Flags);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => _lease.Device.GetInterrupt(new InterruptIndex(5))).Errno);
    }

    [Fact]
    public void Intx_masks_itself_and_fires_again_while_the_pin_is_up()
    {
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        _lease.Function.Interrupt(0);
        Assert.Equal(1ul, _event.Drain());
        _lease.Function.Interrupt(0);
        Assert.Equal(0ul, _event.Drain());
        Unmask(InterruptIndex.Intx, 0);
        Assert.Equal(1ul, _event.Drain());
        _lease.Function.EndInterrupt();
        Unmask(InterruptIndex.Intx, 0);
        Assert.Equal(0ul, _event.Drain());
        _lease.Function.Interrupt(0);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void Intx_that_is_up_when_it_is_bound_fires_at_once()
    {
        _lease.Function.Interrupt(0);
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void Intx_disable_of_the_user_holds_it_back()
    {
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        _lease.Write(4, 2, 0x0403);
        _lease.Function.Interrupt(0);
        Assert.Equal(0ul, _event.Drain());
        Assert.Equal(0u, _lease.Function.ReadConfig(4, 2) & 0x400);
        _lease.Write(4, 2, 0x0003);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void Intx_is_unmasked_by_an_eventfd()
    {
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        _lease.Device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Intx, InterruptAction.Unmask, 0, [_other.Descriptor]));
        _lease.Function.Interrupt(0);
        for (int i = 0; i < 10; i++)
        {
            Assert.True(_event.Wait(TestTimeout));
            _other.Signal();
        }

        _lease.Device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Intx));
        _lease.Function.EndInterrupt();
    }

    [Fact]
    public void A_mask_eventfd_that_was_taken_away_masks_no_more_whatever_its_thread_was_doing()
    {
        _lease.Bind(InterruptIndex.Msi, 0, _event);
        using CancellationTokenSource stop = new();
        Thread signaller = new(() =>
        {
            while (!stop.IsCancellationRequested)
                _other.Signal();
        });
        signaller.Start();
        for (int i = 0; i < 500; i++)
        {
            SetMaskEvent(_other.Descriptor);
            SetMaskEvent(null);
            Unmask(InterruptIndex.Msi, 0);
            Assert.Equal(0u, _lease.Read(0x50, 4));
        }

        stop.Cancel();
        signaller.Join();
        Assert.Equal(0u, _lease.Read(0x50, 4));
    }

    [Fact]
    public void One_eventfd_may_mask_and_unmask_and_the_lease_ends_all_the_same()
    {
        _lease.Bind(InterruptIndex.Msi, 0, _event);
        foreach (InterruptAction action in new[] { InterruptAction.Mask, InterruptAction.Unmask })
            _lease.Device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, action, 0, [_other.Descriptor]));
        for (int i = 0; i < 100; i++)
            _other.Signal();
        _lease.Device.Dispose();
    }

    [Fact]
    public void Msi_needs_bus_master_as_every_write_to_memory()
    {
        _lease.Bind(InterruptIndex.Msi, 0, _event, _other);
        Assert.Equal(0x11u, _lease.Function.ReadConfig(0x42, 2) & 0x71);
        Assert.Equal(0x11u, _lease.Read(0x42, 2) & 0x71);
        _lease.Function.Interrupt(1);
        Assert.Equal(0ul, _other.Drain());
        _lease.Write(4, 2, 7);
        _lease.Function.Interrupt(1);
        Assert.Equal((0ul, 1ul), (_event.Drain(), _other.Drain()));
        _lease.Device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msi));
        Assert.Equal(0u, _lease.Function.ReadConfig(0x42, 2) & 1);
        Assert.Equal(0u, _lease.Read(0x42, 2) & 1);
    }

    [Fact]
    public void A_masked_message_is_pending_until_unmasked_by_request_or_register()
    {
        _lease.Bind(InterruptIndex.Msi, 0, _event, _other);
        _lease.Write(4, 2, 7);
        _lease.Device.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msi, InterruptAction.Mask, 1, 1));
        Assert.Equal(2u, _lease.Read(0x50, 4));
        _lease.Function.Interrupt(1);
        _lease.Function.Interrupt(1);
        Assert.Equal(0ul, _other.Drain());
        Assert.Equal(2u, _lease.Read(0x54, 4));
        _lease.Write(0x50, 4, 0);
        Assert.Equal(1ul, _other.Drain());
        Assert.Equal(0u, _lease.Read(0x54, 4));
        _lease.Write(0x50, 1, 1);
        _lease.Function.Interrupt(0);
        _lease.Device.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msi, InterruptAction.Unmask, 0, [1, 0]));
        Assert.Equal(1ul, _event.Drain());
        Assert.Equal(0u, _lease.Read(0x50, 4));
    }

    [Fact]
    public void Msix_vectors_follow_the_users_table_and_pending_bits_are_true()
    {
        _lease.Write(4, 2, 7);
        Assert.Equal(1u, _lease.ReadBar(2, 0x1000 + (16 * 65) + 12));
        _lease.Bind(InterruptIndex.Msix, 65, _event);

        // An eventfd leaves the vector unmasked.
        Assert.Equal(0u, _lease.ReadBar(2, 0x1000 + (16 * 65) + 12));
        _lease.Function.Interrupt(65);
        Assert.Equal(1ul, _event.Drain());
        _lease.WriteBar(2, 0x1000 + (16 * 65) + 12, 1);
        _lease.Function.Interrupt(65);
        Assert.Equal(0ul, _event.Drain());
        Assert.Equal((0u, 0u, 2u), (_lease.ReadBar(2, 0x2000), _lease.ReadBar(2, 0x2004), _lease.ReadBar(2, 0x2008)));
        Assert.Equal(2u, _lease.ReadBar(2, 0x2008, 1));
        _lease.WriteBar(2, 0x2008, 0);
        Assert.Equal(2u, _lease.ReadBar(2, 0x2008));
        _lease.WriteBar(2, 0x1000 + (16 * 65) + 12, 0);
        Assert.Equal(1ul, _event.Drain());
        Assert.Equal(0u, _lease.ReadBar(2, 0x2008));
    }

    [Fact]
    public void Function_mask_holds_all_vectors_back()
    {
        _lease.Write(4, 2, 7);
        _lease.Bind(InterruptIndex.Msix, 0, _event, _other);
        int control = 0x58 + 2;
        Assert.Equal(0x11u, _lease.Read(0x58, 1));
        Assert.Equal(0x8000u, _lease.Read(control, 2) & 0xc000);
        _lease.Write(control, 2, 0xc000);
        _lease.Function.Interrupt(0);
        _lease.Function.Interrupt(1);
        Assert.Equal(3u, _lease.ReadBar(2, 0x2000));
        Assert.Equal(0u, _lease.Function.ReadConfig(control, 2) & 0x4000);
        _lease.Write(control, 2, 0x8000);
        Assert.Equal((1ul, 1ul), (_event.Drain(), _other.Drain()));
    }

    [Fact]
    public void The_real_table_is_never_the_users()
    {
        _lease.Bind(InterruptIndex.Msix, 3, _event);
        byte[] real = new byte[16];
        _lease.Function.ReadRegion(RegionIndex.Bar(2), 0x1030, real);
        Assert.NotEqual(0, real[3]);
        Assert.Equal(0, real[12]);
        Assert.Equal(0u, _lease.ReadBar(2, 0x1030));
        byte[] all = new byte[0x1000];
        all.AsSpan().Fill(0xff);
        _lease.Device.WriteRegion(RegionIndex.Bar(2), 0x0ff8, all);
        byte[] now = new byte[16];
        _lease.Function.ReadRegion(RegionIndex.Bar(2), 0x1030, now);
        Assert.Equal(real, now);
        Assert.Equal(0xfffffffcu, _lease.ReadBar(2, 0x1030));
        Assert.Equal(0xffffffffu, _lease.ReadBar(2, 0x0ff8));
        Assert.Equal(0xffffffffu, _lease.ReadBar(2, 0x1000 + (16 * 70)));
    }

    [Fact]
    public void Pages_of_the_table_and_pending_bits_cannot_be_mapped_and_the_others_can()
    {
        RegionInfo info = _lease.Device.GetRegion(RegionIndex.Bar(2));
        Assert.True(info.IsMappable);
        Assert.Equal([new MmapArea(0, 0x1000), new MmapArea(0x3000, 0x1000)], info.MmapAreas);
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(0, 0, 2)]
    [InlineData(1, 4, 1)]
    [InlineData(1, 1, 4)]
    [InlineData(1, 1, int.MaxValue)]
    [InlineData(2, int.MaxValue, int.MaxValue)]
    [InlineData(2, -1, 1)]
    [InlineData(2, 0, -1)]
    [InlineData(3, 0, 2)]
    [InlineData(5, 0, 1)]
    [InlineData(uint.MaxValue, 0, 1)]
    public void Vectors_that_are_not_there_are_EINVAL(uint index, int start, int count) =>
        AssertRefused(Errno.InvalidArgument, () => _lease.Device.SetInterrupts(
            InterruptRequest.ForAll(new InterruptIndex(index), InterruptAction.Unmask, start, count)));

    [Fact]
    public void Requests_that_make_no_sense_now_are_refused_as_the_kernel_does()
    {
        // Fired by hand before it is bound; another kind while one is in use; masked where there is no mask; INTx that is off.
        AssertRefused(Errno.InvalidArgument, () => Trigger(InterruptIndex.Msi, 0));
        AssertRefused(Errno.InvalidArgument, () => Unmask(InterruptIndex.Intx, 0));
        _lease.Bind(InterruptIndex.Msi, 0, _event);
        AssertRefused(Errno.InvalidArgument, () => _lease.Bind(InterruptIndex.Intx, 0, _other));
        AssertRefused(Errno.NoSuchOperation, () => Unmask(InterruptIndex.Error, 0));
        AssertRefused(Errno.InvalidArgument, () => _lease.Device.SetInterrupts(
            InterruptRequest.ForAll(InterruptIndex.Msi, InterruptAction.Unmask, 0, 0)));
        _lease.Device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msi));
        _lease.Device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msi));
        _lease.Bind(InterruptIndex.Intx, 0, _other);
    }

    [Fact]
    public void A_descriptor_that_is_no_eventfd_is_EINVAL_and_binds_nothing()
    {
        using FileDescriptor file = MemoryFile.Create("not-an-eventfd", 4096);
        AssertRefused(Errno.InvalidArgument, () => _lease.Device.SetInterrupts(
            InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [_event.Descriptor, file])));
        AssertRefused(Errno.InvalidArgument, () => Trigger(InterruptIndex.Msi, 0));
    }

    [Fact]
    public void Loopback_signals_what_is_bound()
    {
        _lease.Bind(InterruptIndex.Msi, 0, _event, null, _other);
        Trigger(InterruptIndex.Msi, 0);
        _lease.Device.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msi, InterruptAction.Trigger, 0, [0, 1, 1]));
        Assert.Equal((1ul, 1ul), (_event.Drain(), _other.Drain()));
    }

    [Fact]
    public void The_provider_sends_release_requests_and_reports_errors()
    {
        _lease.Bind(InterruptIndex.Error, 0, _event);
        _lease.Bind(InterruptIndex.Request, 0, _other);
        _lease.Guarded.ReportError();
        Assert.Equal((1ul, 0ul), (_event.Drain(), _other.Drain()));
        _lease.Guarded.RequestBack();
        Assert.Equal((0ul, 1ul), (_event.Drain(), _other.Drain()));
    }

    [Fact]
    public void Eventfds_and_the_real_programming_survive_a_reset()
    {
        _lease.Bind(InterruptIndex.Msix, 3, _event);
        _lease.WriteBar(2, 0x1000 + (16 * 3) + 12, 1);
        _lease.Device.Reset();
        Assert.Equal(0x8000u, _lease.Function.ReadConfig(0x5a, 2) & 0xc000);
        _lease.Write(4, 2, 6);
        _lease.Function.Interrupt(3);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void A_vector_that_fires_in_a_register_write_is_signalled_when_the_write_has_ended()
    {
        using SummerFunction summer = new();
        using GuardedFunction guarded = new(summer);
        using IVfioDevice device = guarded.Open();
        device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [_event.Descriptor]));
        device.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        bool isAnswered = false;
        Thread waiter = new(() =>
        {
            Assert.True(_event.Wait(TestTimeout));
            device.ReadRegion(RegionIndex.Bar0, 0x18, new byte[4]);
            isAnswered = true;
        });
        waiter.Start();
        device.WriteRegion(RegionIndex.Bar0, 0x10, [4, 0, 0, 0]);
        waiter.Join();
        Assert.True(isAnswered);
    }

    [Fact]
    public void Close_releases_eventfds()
    {
        EventFd mine = EventFd.Create();
        FileDescriptor descriptor = mine.Descriptor;
        _lease.Bind(InterruptIndex.Msi, 0, mine);
        mine.Dispose();
        Assert.False(descriptor.IsClosed);
        _lease.Device.Dispose();
        Assert.True(descriptor.IsClosed);
    }

    private void SetMaskEvent(FileDescriptor? descriptor) =>
        _lease.Device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Mask, 0, [descriptor]));

    private void Unmask(InterruptIndex index, int vector) =>
        _lease.Device.SetInterrupts(InterruptRequest.ForAll(index, InterruptAction.Unmask, vector, 1));

    private void Trigger(InterruptIndex index, int vector) =>
        _lease.Device.SetInterrupts(InterruptRequest.ForAll(index, InterruptAction.Trigger, vector, 1));

    private static void AssertRefused(Errno errno, Action action) => Assert.Equal(errno, Assert.Throws<VfioException>(action).Errno);
}
