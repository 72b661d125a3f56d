using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Tests.Guard;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Interrupts as a client sees them: masks, pending bits and levels by PCI Local Bus 3.0, sections 6.2.4 and 6.8.</summary>
public sealed class InterruptsOverSocketTests : IDisposable
{
    private const ulong Table = 0x1000, Pending = 0x2000;
    private const int MsiControl = 0x42, MsiMask = 0x50, MsiPending = 0x54, MsixControl = 0x5a;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    private readonly PlainFunction _function = new(
        new FunctionDescription("x", 1, 2)
        {
            InterruptPin = 1,
            MsiVectors = 4,
            MsiHasMasks = true,
            Msix = new MsixDescription(70, Bar: 2, (uint)Table, (uint)Pending),
        },
        (2, new MemoryBar("msix", 0x4000), BarType.Memory32));

    private readonly GuardedServer _server;
    private readonly VfioUserClient _client;
    private readonly EventFd _event = EventFd.Create();
    private readonly EventFd _other = EventFd.Create();

    public InterruptsOverSocketTests()
    {
        _server = new GuardedServer(_function);
        _client = _server.ConnectClient();
        WriteConfig(4, 7);
    }

    public void Dispose()
    {
        _client.Dispose();
        _server.Dispose();
        _event.Dispose();
        _other.Dispose();
    }

    [Fact]
    public void A_masked_vector_is_pending_in_the_BAR_until_it_is_sent()
    {
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 65, _event);
        Write(Table + (65 * 16) + 12, 1);
        _function.Interrupt(65);
        Assert.Equal(0ul, _event.Drain());
        Assert.Equal((0ul, 2ul), (Read64(Pending), Read64(Pending + 8)));
        Write(Table + (65 * 16) + 12, 0);
        Assert.Equal(1ul, _event.Drain());
        Assert.Equal((0ul, 0ul), (Read64(Pending), Read64(Pending + 8)));
    }

    [Fact]
    public void A_vector_masked_by_request_is_pending_too()
    {
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, _event, _other);
        _client.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msix, InterruptAction.Mask, 0, [0, 1]));
        Assert.Equal((0u, 1u), (Read(Table + 12), Read(Table + 16 + 12)));
        _function.Interrupt(0);
        _function.Interrupt(1);
        Assert.Equal((1ul, 0ul), (_event.Drain(), _other.Drain()));
        Assert.Equal(2ul, Read64(Pending));
        _client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Unmask, 0, 2));
        Assert.Equal((0ul, 1ul), (_event.Drain(), _other.Drain()));
        Assert.Equal(0ul, Read64(Pending));
    }

    [Fact]
    public void A_vector_without_an_eventfd_is_masked_and_pending()
    {
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, _event);
        _function.Interrupt(1);
        _function.Interrupt(69);
        Assert.Equal((2ul, 0x20ul), (Read64(Pending), Read64(Pending + 8)));
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 1, _other);
        Assert.True(_other.Wait(TestTimeout));
        Assert.Equal((0ul, 0x20ul), (Read64(Pending), Read64(Pending + 8)));
    }

    [Fact]
    public void Function_mask_holds_every_vector_and_leaves_their_own_masks()
    {
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, _event, _other);
        Write(Table + 16 + 12, 1);
        WriteConfig(MsixControl, 0xc000);
        _function.Interrupt(0);
        _function.Interrupt(1);
        Assert.Equal(3ul, Read64(Pending));
        Assert.Equal(0u, Read(Table + 12));
        WriteConfig(MsixControl, 0x8000);
        Assert.Equal((1ul, 0ul), (_event.Drain(), _other.Drain()));
        Assert.Equal(2ul, Read64(Pending));
        Write(Table + 16 + 12, 0);
        Assert.Equal(1ul, _other.Drain());
    }

    [Fact]
    public void A_write_of_pending_bits_does_nothing_and_a_reset_clears_them()
    {
        Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, _event);
        Write(Table + 12, 1);
        _function.Interrupt(0);
        Write(Pending, 0);
        Assert.Equal(1ul, Read64(Pending));
        _client.Reset();
        WriteConfig(4, 7);
        Assert.Equal(0ul, Read64(Pending));
        Assert.Equal(0ul, _event.Drain());
    }

    [Fact]
    public void Msi_has_a_mask_and_a_pending_bit_for_each_vector()
    {
        Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, _event, _other, null, null);
        Assert.Equal(0x0100u, ReadConfig(MsiControl, 2) & 0x0100);
        WriteConfig(MsiMask, 2);
        _function.Interrupt(0);
        _function.Interrupt(1);
        Assert.Equal((1ul, 0ul), (_event.Drain(), _other.Drain()));
        Assert.Equal((2u, 2u), (ReadConfig(MsiMask, 4), ReadConfig(MsiPending, 4)));
        WriteConfig(MsiPending, 0);
        Assert.Equal(2u, ReadConfig(MsiPending, 4));
        WriteConfig(MsiMask, 0);
        Assert.Equal(1ul, _other.Drain());
        Assert.Equal(0u, ReadConfig(MsiPending, 4));
    }

    [Fact]
    public void Intx_masks_itself_and_an_eventfd_of_the_client_unmasks_it()
    {
        Bind(InterruptIndex.Intx, InterruptAction.Trigger, 0, _event);
        Bind(InterruptIndex.Intx, InterruptAction.Unmask, 0, _other);
        _function.Interrupt(0);
        for (int i = 0; i < 5; i++)
        {
            // The pin stays up, so it comes again each time it is let through, and not before.
            Assert.True(_event.Wait(TestTimeout));
            Assert.Equal(0ul, _event.Drain());
            _other.Signal();
        }

        _function.EndInterrupt();
        _event.Drain();
        _client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Intx, InterruptAction.Unmask, 0, 1));
        Assert.Equal(0ul, _event.Drain());
    }

    [Fact]
    public void Interrupt_status_shows_the_pin_whatever_is_masked()
    {
        Bind(InterruptIndex.Intx, InterruptAction.Trigger, 0, _event);
        Assert.Equal(0u, ReadConfig(6, 2) & 8);
        WriteConfig(4, 0x0407);
        _function.Interrupt(0);
        Assert.Equal(8u, ReadConfig(6, 2) & 8);
        Assert.Equal(0ul, _event.Drain());
        WriteConfig(4, 0x0007);
        Assert.Equal(1ul, _event.Drain());
        _function.EndInterrupt();
        Assert.Equal(0u, ReadConfig(6, 2) & 8);
    }

    [Fact]
    public void What_the_provider_has_to_say_waits_for_an_eventfd_and_for_a_reset()
    {
        _function.Slot.RequestReturn();
        _function.Slot.ReportError();
        _client.Reset();
        Bind(InterruptIndex.Request, InterruptAction.Trigger, 0, _event);
        Assert.Equal((1ul, 0ul), (_event.Drain(), _other.Drain()));
        Bind(InterruptIndex.Error, InterruptAction.Trigger, 0, _other);
        Assert.Equal((0ul, 1ul), (_event.Drain(), _other.Drain()));
        _function.Slot.ReportError();
        Assert.Equal((0ul, 1ul), (_event.Drain(), _other.Drain()));
    }

    [Fact]
    public async Task A_driver_waits_for_a_release_request()
    {
        using PciDevice device = new(_client);
        Interrupt wish = device.Interrupts.EnableReleaseRequest();
        Interrupt error = device.Interrupts.EnableError();
        Assert.Same(wish, device.Interrupts.EnableReleaseRequest());
        using CancellationTokenSource limit = new(TestTimeout);
        ValueTask waiting = wish.WaitAsync(limit.Token);
        Assert.False(waiting.IsCompleted);
        _function.Slot.RequestReturn();
        await waiting;
        Assert.False(error.Wait(TimeSpan.Zero));
        _function.Slot.ReportError();
        device.Reset();
        Assert.True(error.Wait(TestTimeout));
    }

    private void Bind(InterruptIndex index, InterruptAction action, int start, params EventFd?[] events) =>
        _client.SetInterrupts(InterruptRequest.Bind(index, action, start, [.. events.Select(item => item?.Descriptor)]));

    private uint ReadConfig(int offset, int width)
    {
        uint value = 0;
        _client.ReadRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value)[..width]);
        return value;
    }

    private void WriteConfig(int offset, uint value) =>
        _client.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value)[..(offset < MsiMask || offset == MsixControl ? 2 : 4)]);

    private uint Read(ulong offset)
    {
        uint value = 0;
        _client.ReadRegion(RegionIndex.Bar(2), offset, Blittable.AsBytes(ref value));
        return value;
    }

    private ulong Read64(ulong offset)
    {
        ulong value = 0;
        _client.ReadRegion(RegionIndex.Bar(2), offset, Blittable.AsBytes(ref value));
        return value;
    }

    private void Write(ulong offset, uint value) => _client.WriteRegion(RegionIndex.Bar(2), offset, Blittable.AsBytes(ref value));
}
