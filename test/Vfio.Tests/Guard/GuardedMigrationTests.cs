using Vfio.Abstractions;
using Vfio.Guard;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>What the guard carries of a device by itself, and what a stopped device may not do.</summary>
public sealed class GuardedMigrationTests : IDisposable
{
    private const int Command = 4;
    private readonly Moved _from = new();
    private readonly Moved _to = new();
    private readonly EventFd _event = EventFd.Create();

    public void Dispose()
    {
        _from.Dispose();
        _to.Dispose();
        _event.Dispose();
    }

    [Fact]
    public void Config_space_registers_memory_and_the_devices_own_bytes_go_along()
    {
        _from.Write(Command, 0x0506);
        _from.Write(0x10, 0xdead_f000);
        _from.Write(0x3c, 0x42);
        _from.Device.WriteRegion(RegionIndex.Bar0, 0, [1, 2, 3, 4, 5]);
        _from.Function.Own = 77;
        byte[] memory = RandomBytes(MovableFunction.MemoryBytes);
        memory.AsSpan(MovableFunction.TableOffset, 0x2000).Clear();
        _from.Device.WriteRegion(RegionIndex.Bar(2), 0, memory.AsSpan(0, MovableFunction.TableOffset));
        _from.Device.WriteRegion(RegionIndex.Bar(2), 0x12000, memory.AsSpan(0x12000));
        byte[] entry = RandomBytes(12);
        entry[0] &= 0xfc;
        _from.Device.WriteRegion(RegionIndex.Bar(2), MovableFunction.TableOffset + 0x30, entry);

        Move();

        Assert.Equal(_from.ReadAll(RegionIndex.Config), _to.ReadAll(RegionIndex.Config));
        Assert.Equal(_from.ReadAll(RegionIndex.Bar0), _to.ReadAll(RegionIndex.Bar0));
        Assert.Equal(_from.ReadAll(RegionIndex.Bar(2)), _to.ReadAll(RegionIndex.Bar(2)));
        Assert.Equal(entry, _to.ReadAll(RegionIndex.Bar(2))[(MovableFunction.TableOffset + 0x30)..][..12]);
        Assert.Equal(77, _to.Function.Own);
        Assert.Equal(0, _to.Guarded.RefusalsOfUser.ConfigBits);
        Assert.Equal(0x0106u, _to.Function.ReadConfig(Command, 2) & 0x0506u); // INTx disable is virtual
    }

    [Fact]
    public void A_saved_state_is_the_same_after_a_move()
    {
        _from.Write(Command, 0x0006);
        _from.Function.Own = 3;
        byte[] state = DeviceState.Save(_from.Device);
        DeviceState.Restore(_to.Device, state);
        Assert.Equal(state, DeviceState.Save(_to.Device));
    }

    [Theory]
    [InlineData(0x01)]
    [InlineData(0x10)]
    public void A_pin_that_is_up_interrupts_at_the_other_device(int own)
    {
        _from.Function.Own = (byte)own;
        _from.Function.Interrupt(0);
        DeviceState.Restore(_to.Device, DeviceState.Save(_from.Device));
        _to.Bind(InterruptIndex.Intx, 0, _event);
        Assert.Equal(0ul, _event.Drain());
        _to.Migration.SetMigrationState(MigrationState.Running);
        Assert.Equal(1ul, _event.Drain());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_message_that_was_pending_is_sent_by_the_other_device(bool bindFirst)
    {
        _from.Write(Command, 0x0006);
        _from.Bind(InterruptIndex.Msix, 0, _event, _event);
        MaskMsix(_from, 1, true);
        _from.Function.Interrupt(1);
        Assert.Equal(0ul, _event.Drain());
        Assert.Equal(2, _from.ReadAll(RegionIndex.Bar(2))[MovableFunction.PendingOffset]);

        using EventFd other = EventFd.Create();
        byte[] state = DeviceState.Save(_from.Device);
        if (bindFirst)
            _to.Bind(InterruptIndex.Msix, 0, other, other);
        DeviceState.Restore(_to.Device, state);
        _to.Migration.SetMigrationState(MigrationState.Running);
        Assert.Equal(2, _to.ReadAll(RegionIndex.Bar(2))[MovableFunction.PendingOffset]);
        if (!bindFirst)
            _to.Bind(InterruptIndex.Msix, 0, other, other);
        Assert.Equal(0ul, other.Drain());
        MaskMsix(_to, 1, false);
        Assert.Equal(1ul, other.Drain());
    }

    [Fact]
    public void MSI_X_that_is_enabled_without_an_eventfd_is_so_in_another_process_too()
    {
        _from.Write(Command, 0x0006);
        _from.Bind(InterruptIndex.Msix, 0, [null]);
        MaskMsix(_from, 1, true);
        IHandoverDevice from = _from.Device.Get<IHandoverDevice>();
        IHandoverDevice to = _to.Device.Get<IHandoverDevice>();
        _from.Function.Interrupt(0);
        to.TakeOver(from.Suspend());
        to.Resume();
        from.Depart();
        int control = 0x40;
        while (_to.ReadAll(RegionIndex.Config)[control] != MovableFunction.Vectors - 1)
            control++;
        Assert.Equal(0x80, _to.ReadAll(RegionIndex.Config)[control + 1] & 0xc0);
        Assert.Equal(0x80u, _to.Function.ReadConfig(control + 1, 1) & 0xc0);
        Assert.Throws<VfioException>(() => _to.Bind(InterruptIndex.Intx, 0, _event));
        _to.Bind(InterruptIndex.Msix, 0, _event, _event);
        Assert.Equal(1ul, _event.Drain());
        _to.Function.Interrupt(1);
        Assert.Equal(0ul, _event.Drain());
        MaskMsix(_to, 1, false);
        Assert.Equal(1ul, _event.Drain());
    }

    [Fact]
    public void A_message_that_the_function_itself_holds_is_not_lost_on_the_way()
    {
        _from.Write(Command, 0x0006);
        _from.Bind(InterruptIndex.Msix, 0, _event);
        _from.Function.Interrupt(5); // nothing is bound: the guard has it masked in the hardware
        byte[] state = DeviceState.Save(_from.Device);
        _to.Bind(InterruptIndex.Msix, 5, _event);
        DeviceState.Restore(_to.Device, state);
        MaskMsix(_to, 5, false);
        Assert.Equal(0ul, _event.Drain());
        _to.Migration.SetMigrationState(MigrationState.Running);
        Assert.Equal(1ul, _event.Drain());
    }

    [Theory]
    [InlineData(MigrationState.Stop)]
    [InlineData(MigrationState.StopCopy)]
    [InlineData(MigrationState.Resuming)]
    public void A_stopped_device_uses_no_memory_and_interrupts_only_when_it_runs_again(MigrationState state)
    {
        _from.Write(Command, 0x0006);
        _from.MapDma(0x1000, 0x1000);
        _from.Bind(InterruptIndex.Msi, 0, _event);
        if (state != MigrationState.Resuming)
        {
            _from.Migration.SetMigrationState(state);
            Assert.True(_from.Function.IsStopped);
            Assert.Equal(Errno.OperationNotPermitted, _from.Function.Slot.WriteMemory(new Iova(0x1000), [1]));
            Assert.Equal(Errno.OperationNotPermitted, _from.Function.Slot.ReadMemory(new Iova(0x1000), new byte[1]));
            _from.Function.Interrupt(0);
            Assert.Equal(0ul, _event.Drain());
            _from.Migration.SetMigrationState(MigrationState.Running);
            Assert.False(_from.Function.IsStopped);
            Assert.Equal(1ul, _event.Drain());
            Assert.Equal(Errno.None, _from.Function.Slot.WriteMemory(new Iova(0x1000), [1]));
        }
        else
        {
            byte[] saved = DeviceState.Save(_from.Device);
            DeviceState.Restore(_from.Device, saved);
            Assert.Equal(Errno.OperationNotPermitted, _from.Function.Slot.WriteMemory(new Iova(0x1000), [1]));
            _from.Migration.SetMigrationState(MigrationState.Running);
            Assert.Equal(Errno.None, _from.Function.Slot.WriteMemory(new Iova(0x1000), [1]));
        }
    }

    [Fact]
    public void Intx_of_a_stopped_device_waits_until_it_runs()
    {
        _from.Bind(InterruptIndex.Intx, 0, _event);
        _from.Migration.SetMigrationState(MigrationState.Stop);
        _from.Function.Interrupt(0);
        Assert.Equal(0ul, _event.Drain());
        _from.Migration.SetMigrationState(MigrationState.Running);
        Assert.Equal(1ul, _event.Drain());
    }

    [Theory]
    [InlineData(MigrationState.Stop)]
    [InlineData(MigrationState.StopCopy)]
    [InlineData(MigrationState.PreCopy)]
    [InlineData(MigrationState.Resuming)]
    public void A_reset_by_the_lease_or_through_config_space_makes_it_run(MigrationState state)
    {
        foreach (bool byUser in new[] { false, true })
        {
            _from.Migration.SetMigrationState(state);
            if (byUser)
                _from.Write(_from.Express + 8, 0x8000);
            else
                _from.Device.Reset();
            Assert.Equal(MigrationState.Running, _from.Migration.MigrationState);
            Assert.False(_from.Function.IsStopped);
        }
    }

    [Fact]
    public void A_stopped_device_is_released_running()
    {
        _from.Migration.SetMigrationState(MigrationState.StopCopy);
        _from.Device.Dispose();
        Assert.False(_from.Function.IsStopped);
        _from.Reopen();
        Assert.Equal(MigrationState.Running, _from.Migration.MigrationState);
    }

    [Fact]
    public void A_function_that_cannot_says_so()
    {
        using GuardedFunction guarded = new(new PlainFunction(new FunctionDescription("plain", 1, 2)));
        using IVfioDevice device = guarded.Open();
        Assert.False(device.TryGet(out IMigratableDevice? _));
        Assert.False(device.TryGet(out IHandoverDevice? _));
        IMigratableDevice migratable = Assert.IsType<IMigratableDevice>(device, exactMatch: false);
        Assert.Equal(MigrationFeatures.None, migratable.Migration);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => migratable.SetMigrationState(MigrationState.Stop)).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => migratable.MigrationState).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => migratable.ReadMigrationData(new byte[1])).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => migratable.WriteMigrationData([1])).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => DeviceState.Save(device)).Errno);
    }

    [Fact]
    public void A_state_of_another_device_is_refused_before_all_of_it_came()
    {
        using Moved other = new(isExpress: false);
        _from.Migration.SetMigrationState(MigrationState.PreCopy);
        byte[] ahead = new byte[4096];
        int count = _from.Migration.ReadMigrationData(ahead);
        other.Migration.SetMigrationState(MigrationState.Resuming);
        VfioException refusal = Assert.Throws<VfioException>(() => other.Migration.WriteMigrationData(ahead.AsSpan(0, count)));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.Throws<VfioException>(() => other.Migration.SetMigrationState(MigrationState.Running));
        Assert.Equal(MigrationState.Error, other.Migration.MigrationState);
    }

    [Fact]
    public void A_state_that_the_device_itself_refuses_leaves_nothing_behind()
    {
        _from.Device.WriteRegion(RegionIndex.Bar0, 0, [9, 9, 9, 9]);
        _from.Write(Command, 0x0006);
        _from.Function.Own = 0xff;
        byte[] state = DeviceState.Save(_from.Device);
        byte[] before = _to.ReadAll(RegionIndex.Config);
        Assert.Throws<VfioException>(() => DeviceState.Restore(_to.Device, state));
        Assert.Equal(MigrationState.Error, _to.Migration.MigrationState);
        Assert.Equal(before, _to.ReadAll(RegionIndex.Config));
        Assert.Equal(0x11, _to.ReadAll(RegionIndex.Bar0)[0]);
    }

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }

    private static void MaskMsix(Moved lease, int vector, bool isMasked) => lease.Device.WriteRegion(
        RegionIndex.Bar(2), MovableFunction.TableOffset + (16 * (ulong)vector) + 12, [isMasked ? (byte)1 : (byte)0, 0, 0, 0]);

    private void Move()
    {
        DeviceState.Restore(_to.Device, DeviceState.Save(_from.Device));
        _to.Migration.SetMigrationState(MigrationState.Running);
    }
}
