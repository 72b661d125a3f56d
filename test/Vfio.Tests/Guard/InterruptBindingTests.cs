using Vfio.Guard;
using Vfio.Native;
using Vfio.Tests.User;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>No message is lost, and none becomes a pin, whatever is bound when; masks are the user's own.</summary>
public sealed class InterruptBindingTests : IDisposable
{
    private const int Msi = 0x48, MsiMasks = Msi + 0x10, MsiPending = Msi + 0x14, Msix = 0x60, PowerControl = 0x44;
    private const ulong Table = 0x1000, Pending = 0x2000;
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(60);

    private static readonly FunctionDescription Description = new("x", 1, 2)
    {
        InterruptPin = 1,
        PowerManagement = PowerManagementKind.NoSoftReset,
        MsiVectors = 32,
        MsiHasMasks = true,
        Msix = new MsixDescription(70, Bar: 2, (uint)Table, (uint)Pending),
    };

    private readonly Lease _lease = new(Description, (2, new MemoryBar("msix", 0x4000), BarType.Memory32));
    private readonly EventFd _event = EventFd.Create();
    private readonly EventFd _other = EventFd.Create();

    public void Dispose()
    {
        _lease.Dispose();
        _event.Dispose();
        _other.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_message_that_comes_while_its_vector_is_bound_again_arrives_and_never_at_the_pin(uint kind)
    {
        const int Messages = 2_000;
        InterruptIndex index = new(kind);
        _lease.Write(4, 2, 6);
        _lease.Bind(index, 0, _event);
        bool stop = false;
        Thread binder = new(() =>
        {
            for (int i = 0; !Volatile.Read(ref stop); i++)
            {
                if (i % 4 == 3)
                    _lease.Bind(index, 0, [null]);
                else
                    _lease.Bind(index, i % 3 == 0 ? 0 : 1, i % 3 == 0 && i % 2 == 0 ? _other : _event);
                _lease.Bind(index, 0, i % 2 == 0 ? _event : _other);
            }
        })
        { IsBackground = true };
        binder.Start();
        try
        {
            for (int i = 0; i < Messages; i++)
            {
                _lease.Function.Interrupt(0);
                Assert.Equal(0u, _lease.Function.ReadConfig(6, 2) & 8);
                Assert.True(SpinWait.SpinUntil(() => _event.Drain() + _other.Drain() != 0, TestTimeout), $"message {i} is lost");
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            binder.Join();
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Binding_again_never_shows_the_function_a_kind_that_is_off(uint kind)
    {
        FaultyFunction watched = new(new PlainFunction(Description, (2, new MemoryBar("msix", 0x4000), BarType.Memory32)));
        using GuardedFunction guarded = new(watched);
        using IVfioDevice device = guarded.Open();
        InterruptIndex index = new(kind);
        device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, 0, [_event.Descriptor]));
        watched.ConfigWrites.Clear();
        device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, 0, [_other.Descriptor]));
        device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, 0, [null]));
        device.SetInterrupts(InterruptRequest.Bind(
            index, InterruptAction.Trigger, 0, [_other.Descriptor, _event.Descriptor, null, _event.Descriptor]));
        int control = kind == 1 ? Msi + 2 : Msix + 2;
        uint enable = kind == 1 ? 1u : 0x8000;
        Assert.All(watched.ConfigWrites.Where(write => write.Offset == control), write => Assert.NotEqual(0u, write.Value & enable));
        Assert.DoesNotContain(watched.ConfigWrites, write => write.Offset == Msi + 4);
    }

    [Theory]
    [InlineData(1, Msi + 2, 0x0001u)]
    [InlineData(2, Msix + 2, 0x8000u)]
    public void A_kind_is_enabled_without_an_eventfd_and_what_is_pending_comes_when_there_is_one(uint kind, int control, uint enable)
    {
        InterruptIndex index = new(kind);
        _lease.Write(4, 2, 6);
        _lease.Bind(index, 0, [null]);
        Assert.Equal(enable, _lease.Read(control, 2) & enable);
        Assert.Equal(enable, _lease.Function.ReadConfig(control, 2) & enable);
        _lease.Function.Interrupt(0);
        Assert.Equal(0u, _lease.Function.ReadConfig(6, 2) & 8);
        Assert.Equal(1u, kind == 1 ? _lease.Read(MsiPending, 4) : _lease.ReadBar(2, Pending));

        // As in the kernel: another kind has to wait until this one is disabled.
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => _lease.Bind(InterruptIndex.Intx, 0, _other)).Errno);
        _lease.Bind(index, 0, _event);
        Assert.Equal(1ul, _event.Drain());
        _lease.Function.Interrupt(0);
        Assert.Equal(1ul, _event.Drain());
        _lease.Device.SetInterrupts(InterruptRequest.Disable(index));
        Assert.Equal(0u, (_lease.Read(control, 2) | _lease.Function.ReadConfig(control, 2)) & enable);
        _lease.Bind(InterruptIndex.Intx, 0, _other);
    }

    [Fact]
    public void QEMU_enables_MSI_X_with_a_vector_and_no_descriptor()
    {
        PlainFunction function = new(Description, (2, new MemoryBar("msix", 0x4000), BarType.Memory32));
        using GuardedServer server = new(function);
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        byte[] read(uint region, ulong offset, uint count) => peer.Ask(9, [offset, region, count]).Success[16..];
        Assert.Equal(16, peer.Ask(10, [4ul, 7u, 2u, new byte[] { 6, 0 }]).Success.Length);
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 0, 1]).Success);
        Assert.Equal(0x80, read(7, Msix + 3, 1)[0] & 0xc0);
        Assert.Equal(0x8000u, function.ReadConfig(Msix + 2, 2) & 0xc000);
        function.Interrupt(0);
        function.Interrupt(9);
        Assert.Equal([1, 2], read(2, Pending, 2));
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 0, 1], _event.Descriptor).Success);
        Assert.Equal(1ul, _event.Drain());
        Assert.Empty(peer.Ask(8, [20, 0x24, 2, 9, 1], _other.Descriptor).Success);
        Assert.Equal(1ul, _other.Drain());
        Assert.Equal([0, 0], read(2, Pending, 2));
    }

    public static TheoryData<uint, string, string> Masks => new MatrixTheoryData<uint, string, string>(
        [0, 1, 2], ["request", "eventfd", "register"], ["again", "away and again", "disabled and again"]);

    [Theory]
    [MemberData(nameof(Masks))]
    public void A_mask_stays_whatever_is_bound(uint kind, string by, string how)
    {
        InterruptIndex index = new(kind);
        if (kind == 0 && by != "request")
            return; // INTx has no mask bit of its own, and no way to see that an eventfd has masked it
        _lease.Write(4, 2, 6);
        _lease.Bind(index, 0, _event);
        switch (by)
        {
            case "request":
                Act(index, InterruptAction.Mask);
                break;
            case "eventfd":
                using (EventFd mask = EventFd.Create())
                {
                    _lease.Device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Mask, 0, [mask.Descriptor]));
                    mask.Signal();
                    Assert.True(SpinWait.SpinUntil(() => IsMasked(kind), TestTimeout));
                }

                break;
            default:
                WriteMask(kind, true);
                break;
        }

        _event.Drain();
        if (how == "away and again")
            _lease.Bind(index, 0, [null]);
        if (how == "disabled and again")
            _lease.Device.SetInterrupts(InterruptRequest.Disable(index));
        _lease.Bind(index, 0, _other);

        // A kind that is disabled forgets what it was asked for, as INTx in the kernel; a register keeps what was written.
        bool stays = how != "disabled and again" || by == "register";
        if (kind != 0)
            Assert.Equal(stays, IsMasked(kind));
        _lease.Function.Interrupt(0);
        Assert.Equal(stays ? 0ul : 1ul, _other.Drain());
        if (!stays)
            return;
        Act(index, InterruptAction.Unmask);
        Assert.Equal(1ul, _other.Drain());
        Assert.Equal(0ul, _event.Drain());
    }

    [Fact]
    public void A_vector_of_MSI_X_whose_mask_was_never_written_is_masked_only_while_no_eventfd_is_bound()
    {
        _lease.Write(4, 2, 6);
        Assert.True(IsMasked(2));
        _lease.Bind(InterruptIndex.Msix, 0, _event);
        Assert.False(IsMasked(2));
        _lease.Bind(InterruptIndex.Msix, 0, [null]);
        Assert.True(IsMasked(2));
        WriteMask(2, false);
        Assert.False(IsMasked(2));
        _lease.Function.Interrupt(0);
        _lease.Bind(InterruptIndex.Msix, 0, _other);
        Assert.Equal(1ul, _other.Drain());
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 1)]
    [InlineData(1, 2)]
    [InlineData(1, 3)]
    [InlineData(2, 0)]
    [InlineData(2, 2)]
    [InlineData(4, 0)]
    public void A_part_of_the_MSI_masks_that_is_written_changes_that_part(int width, int at)
    {
        // Bits that were set by requests are not in what was written last.
        uint model = 0;
        Random random = new((8 * width) + at);
        for (int i = 0; i < 200; i++)
        {
            int vector = random.Next(32);
            bool isMasked = random.Next(2) == 0;
            _lease.Device.SetInterrupts(InterruptRequest.ForAll(
                InterruptIndex.Msi, isMasked ? InterruptAction.Mask : InterruptAction.Unmask, vector, 1));
            model = isMasked ? model | 1u << vector : model & ~(1u << vector);
            uint written = (uint)random.NextInt64(1L << (8 * width));
            _lease.Write(MsiMasks + at, width, written);
            uint part = (uint)((1L << (8 * width)) - 1) << (8 * at);
            model = (model & ~part) | (written << (8 * at) & part);
            Assert.Equal(model, _lease.Read(MsiMasks, 4));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(3)]
    public void Any_part_of_the_MSI_X_table_is_written_at_any_place(int width)
    {
        // PCI Local Bus 3.0, section 6.8.2.7 to 6.8.2.9: address bits 1:0 read 0; of Vector Control bit 0 alone is there.
        byte[] model = new byte[70 * 16];
        for (int vector = 0; vector < 70; vector++)
            model[(16 * vector) + 12] = 1;
        Random random = new(width);
        byte[] bytes = new byte[width];
        byte[] read = new byte[model.Length];
        for (int i = 0; i < 200; i++)
        {
            int at = width is 1 or 2 or 4 or 8 ? random.Next(model.Length / width) * width : random.Next(model.Length - width);
            random.NextBytes(bytes);
            _lease.Device.WriteRegion(RegionIndex.Bar(2), Table + (ulong)at, bytes);
            for (int j = 0; j < width; j++)
                model[at + j] = (byte)(bytes[j] & ((at + j) % 16) switch { 0 => 0xfc, 12 => 1, > 12 => 0, _ => 0xff });
            _lease.Device.ReadRegion(RegionIndex.Bar(2), Table, read);
            Assert.Equal(model, read);
        }
    }

    [Theory]
    [InlineData(1, Msix + 3, 0x40u, 0x00u)]
    [InlineData(2, Msix + 2, 0x4000u, 0x0000u)]
    [InlineData(4, Msix, 0x40000000u, 0x00000000u)]
    public void The_function_mask_of_MSI_X_is_written_at_any_width(int width, int offset, uint mask, uint clear)
    {
        _lease.Write(4, 2, 6);
        _lease.Bind(InterruptIndex.Msix, 0, _event);
        _lease.Write(offset, width, mask);
        _lease.Function.Interrupt(0);
        Assert.Equal(0ul, _event.Drain());
        _lease.Write(offset, width, clear);
        Assert.Equal(1ul, _event.Drain());
    }

    [Theory]
    [InlineData(1, 4, 0x06u)]
    [InlineData(2, 4, 0x06u)]
    [InlineData(4, 4, 0x06u)]
    public void Bus_mastering_and_INTx_disable_are_written_at_any_width(int width, int offset, uint on)
    {
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        _lease.Write(5, 1, 0x04);
        _lease.Function.Interrupt(0);
        _lease.Write(offset, 1, on);
        Assert.Equal(Errno.BadAddress, _lease.Function.Slot.ReadMemory(new Iova(0), new byte[1]));
        Assert.Equal(0ul, _event.Drain());
        _lease.Write(offset, width, on & 2);
        Assert.Equal(Errno.OperationNotPermitted, _lease.Function.Slot.ReadMemory(new Iova(0), new byte[1]));
        _lease.Write(5, 1, 0);
        Assert.Equal(1ul, _event.Drain());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Nothing_interrupts_in_D3hot_and_no_memory_is_reached(uint kind)
    {
        InterruptIndex index = new(kind);
        _lease.Write(4, 2, 6);
        _lease.Bind(index, 0, _event);
        Act(index, InterruptAction.Mask);
        _lease.Function.Interrupt(0);
        _lease.Write(PowerControl, 2, 3);
        Act(index, InterruptAction.Unmask);
        _lease.Function.Interrupt(0);
        Assert.False(_lease.Function.Slot.HasListener(index, 0));
        Assert.Equal(Errno.OperationNotPermitted, _lease.Function.Slot.ReadMemory(new Iova(0), new byte[1]));
        Assert.Equal(Errno.OperationNotPermitted, _lease.Function.Slot.TranslateMemory(new Iova(0), 1, DmaAccess.Read, out _));
        Assert.Equal(0ul, _event.Drain());
        _lease.Write(PowerControl, 2, 0);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void A_pin_that_was_asserted_and_deasserted_in_D3hot_is_not_signalled()
    {
        _lease.Bind(InterruptIndex.Intx, 0, _event);
        _lease.Write(PowerControl, 2, 3);
        _lease.Function.Interrupt(0);
        _lease.Function.EndInterrupt();
        _lease.Write(PowerControl, 2, 0);
        Assert.Equal(0ul, _event.Drain());
    }

    [Fact]
    public void What_is_pending_waits_for_bus_mastering()
    {
        _lease.Write(4, 2, 6);
        _lease.Bind(InterruptIndex.Msi, 0, _event);
        WriteMask(1, true);
        _lease.Function.Interrupt(0);
        _lease.Write(4, 2, 2);
        WriteMask(1, false);
        Assert.Equal(0ul, _event.Drain());
        _lease.Write(4, 2, 6);
        Assert.Equal(1ul, _event.Drain());
    }

    private void Act(InterruptIndex index, InterruptAction action) =>
        _lease.Device.SetInterrupts(InterruptRequest.ForAll(index, action, 0, 1));

    private bool IsMasked(uint kind) => (kind == 1 ? _lease.Read(MsiMasks, 4) & 1 : _lease.ReadBar(2, Table + 12) & 1) != 0;

    private void WriteMask(uint kind, bool isMasked)
    {
        if (kind == 1)
            _lease.Write(MsiMasks, 4, isMasked ? 1u : 0);
        else
            _lease.WriteBar(2, Table + 12, isMasked ? 1u : 0);
    }
}
