using Vfio.Native;
using Vfio.Run.Interface;
using Vfio.Tests.Guard;
using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>The file of a device: regions, interrupts, reset; as vfio-pci has them.</summary>
public sealed class DeviceFileTests : IDisposable
{
    private const uint None = 1, Bool = 2, EventFds = 4, Mask = 8, Unmask = 16, Trigger = 32;
    private const int Intx = 0, Msi = 1, Msix = 2, Err = 3, Req = 4;
    private readonly InterfaceRig _rig = new();
    private readonly List<EventFd> _events = [];
    private readonly int _device;

    public DeviceFileTests() => (_, _, _device) = _rig.OpenByGroup();

    private TestCaller Caller => _rig.Caller;

    public void Dispose()
    {
        _rig.Dispose();
        foreach (EventFd made in _events)
            made.Dispose();
    }

    [Fact]
    public void The_device_is_a_PCI_function_of_nine_regions_and_five_interrupts()
    {
        ulong info = Caller.Put(16, 0, 0, 0, 0xaaaaaaaa, 0xaaaaaaaa);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetInfo, info));
        Assert.Equal((16u, 3u, 9u, 5u, 0xaaaaaaaa),
            (Caller.Get32(info), Caller.Get32(info + 4), Caller.Get32(info + 8), Caller.Get32(info + 12), Caller.Get32(info + 16)));
        Assert.True(Caller.TryWrite(info, BitConverter.GetBytes(24)));
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetInfo, info));
        Assert.Equal(0ul, Caller.Get64(info + 16));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceGetInfo, 15));
        Assert.Equal(Efault, _rig.Ioctl(_device, DeviceGetInfo, 0));
        Assert.Equal(Enotty, _rig.Ioctl(_device, 0x3bff, info));
        Assert.Equal(Enotty, _rig.Ask(_device, AttachPt, 12, 0, 1)); // for a function's own file only
    }

    [Theory]
    [InlineData(0, 7, 0x1000)]
    [InlineData(1, 0, 0)]
    [InlineData(2, 15, MovableFunction.MemoryBytes)] // the MSI-X table is in it
    [InlineData(6, 0, 0)]
    [InlineData(7, 3, 0x1000)]
    public void Regions_have_the_flags_of_vfio_pci(int index, uint flags, ulong size)
    {
        ulong info = Caller.Put(32, 0, index, 0, 0ul, 0ul);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetRegionInfo, info));
        Assert.Equal((flags, size), (Caller.Get32(info + 4), Caller.Get64(info + 16)));
        Assert.Equal(0u, Caller.Get32(info + 12));
    }

    [Fact]
    public void The_BAR_with_the_MSIX_table_says_that_all_of_it_can_be_mapped()
    {
        ulong info = Caller.Put(32, 0, 2, 0, 0ul, 0ul);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetRegionInfo, info));
        Assert.Equal(40u, Caller.Get32(info)); // a header of 8 bytes
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetRegionInfo, info));
        Assert.Equal(32u, Caller.Get32(info + 12));
        Assert.Equal((3, 1, 0u), (Caller.Get16(info + 32), Caller.Get16(info + 34), Caller.Get32(info + 36)));
    }

    [Fact]
    public void Without_traps_only_memory_is_mapped_and_its_areas_are_said()
    {
        using InterfaceRig rig = new(BarMapping.Memory);
        (_, _, int device) = rig.OpenByGroup();
        ulong info = rig.Caller.Put(128, 0, 2, 0, 0ul, 0ul);
        Assert.Equal(0, rig.Ioctl(device, DeviceGetRegionInfo, info));
        ulong chain = info + rig.Caller.Get32(info + 12);
        Assert.Equal((1, 2u), (rig.Caller.Get16(chain), rig.Caller.Get32(chain + 8)));
        Assert.Equal((0ul, (ulong)MovableFunction.TableOffset), (rig.Caller.Get64(chain + 16), rig.Caller.Get64(chain + 24)));
        ServedFile file = rig.Caller.FileOf(device)!;
        ulong at = RegionOffsets.Of(RegionIndex.Bar(2));
        Assert.Equal(Errno.None, file.Map(at, MovableFunction.TableOffset, true).Error);
        Assert.Equal(Errno.InvalidArgument, file.Map(at, MovableFunction.TableOffset + 0x1000, true).Error);
        Assert.Equal(Errno.InvalidArgument, file.Map(RegionOffsets.Of(RegionIndex.Bar0), 0x1000, true).Error);
        using InterfaceRig none = new(BarMapping.None);
        (_, _, device) = none.OpenByGroup();
        Assert.Equal(Errno.InvalidArgument, none.Caller.FileOf(device)!.Map(at, 0x1000, true).Error);
    }

    [Theory]
    [InlineData(31, 0, Einval)]
    [InlineData(32, 8, Einval)] // VGA
    [InlineData(32, 9, Einval)]
    [InlineData(32, -1, Einval)]
    public void Regions_that_are_not_there_are_EINVAL(int argsz, int index, long expected) =>
        Assert.Equal(expected, _rig.Ask(_device, DeviceGetRegionInfo, argsz, 0, index, 0, 0ul, 0ul));

    [Theory]
    [InlineData(0, 0, 0x1000, Errno.None)]
    [InlineData(0, 0, 0x2000, Errno.InvalidArgument)]
    [InlineData(0, 0x1000, 0x1000, Errno.InvalidArgument)]
    [InlineData(1, 0, 0x1000, Errno.InvalidArgument)]
    [InlineData(2, 0x10000, 0x1000, Errno.None)] // the table too
    [InlineData(6, 0, 0x1000, Errno.InvalidArgument)]
    [InlineData(7, 0, 0x1000, Errno.InvalidArgument)]
    [InlineData(200, 0, 0x1000, Errno.InvalidArgument)]
    public void BARs_of_memory_are_mapped(uint index, ulong offset, ulong length, Errno expected)
    {
        ServedMapping mapping = Caller.FileOf(_device)!.Map(RegionOffsets.Of(new RegionIndex(index)) + offset, length, true);
        Assert.Equal(expected, mapping.Error);
        if (expected == Errno.None)
            Assert.Equal((index, offset), (mapping.Region.Value, mapping.Offset));
    }

    [Fact]
    public void Registers_are_read_and_written_and_a_read_ends_with_its_BAR()
    {
        EnableMemory();
        Assert.Equal(4, Write(RegionIndex.Bar0, 0, 0x12345678));
        ulong to = Caller.Allocate(0x2000);
        ServedFile file = Caller.FileOf(_device)!;
        Assert.Equal(8, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0), to, 8));
        Assert.Equal(0x12345678u, Caller.Get32(to));
        Assert.Equal(0x10, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0) + 0xff0, to, 0x100));
        Assert.Equal(Einval, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0) + 0x1000, to, 4));
        Assert.Equal(Einval, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar(1)), to, 4));
        Assert.Equal(Einval, file.Read(Caller, RegionOffsets.Of(RegionIndex.Rom), to, 4));
        Assert.Equal(Einval, file.Read(Caller, RegionOffsets.Of(new RegionIndex(9)), to, 4));
        Assert.Equal(0, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0), to, 0));
        Assert.Equal(Efault, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0), 16, 4));
        Assert.Equal(Efault, file.Write(Caller, RegionOffsets.Of(RegionIndex.Bar0), 16, 4));
    }

    [Fact]
    public void Config_space_is_at_DPDKs_offset_too_and_an_access_beyond_it_is_EFAULT()
    {
        ulong to = Caller.Allocate(0x2000);
        ServedFile file = Caller.FileOf(_device)!;
        Assert.Equal(4, file.Read(Caller, 7UL << 40, to, 4));
        Assert.Equal(0x77771234u, Caller.Get32(to));
        Assert.Equal(0x1000, file.Read(Caller, RegionOffsets.Of(RegionIndex.Config), to, 0x1000));
        Assert.Equal(Efault, file.Read(Caller, RegionOffsets.Of(RegionIndex.Config) + 0xffe, to, 4));
        Assert.Equal(Efault, file.Write(Caller, RegionOffsets.Of(RegionIndex.Config) + 0x1000, to, 1));
    }

    [Fact]
    public void The_MSIX_table_reads_as_ones_and_is_not_written()
    {
        EnableMemory();
        Assert.Equal(4, Write(RegionIndex.Bar(2), MovableFunction.TableOffset, 5));
        ulong to = Caller.Allocate(64);
        ServedFile file = Caller.FileOf(_device)!;
        Assert.Equal(16, file.Read(Caller, RegionOffsets.Of(RegionIndex.Bar(2)) + MovableFunction.TableOffset - 8, to, 16));
        Assert.Equal((0ul, ulong.MaxValue), (Caller.Get64(to), Caller.Get64(to + 8)));
    }

    [Fact]
    public void A_BAR_whose_memory_is_off_is_EIO()
    {
        Command(0);
        Assert.Equal(-5, Caller.FileOf(_device)!.Read(Caller, RegionOffsets.Of(RegionIndex.Bar0), Caller.Allocate(4), 4));
    }

    [Theory]
    [InlineData(Intx, 7, 1)]
    [InlineData(Msi, 9, 4)]
    [InlineData(Msix, 1, MovableFunction.Vectors)]
    [InlineData(Err, 9, 1)]
    [InlineData(Req, 9, 1)]
    public void Interrupts_have_the_flags_of_vfio_pci(int index, uint flags, uint count)
    {
        ulong info = Caller.Put(16, 0, index, 0);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceGetIrqInfo, info));
        Assert.Equal((flags, count), (Caller.Get32(info + 4), Caller.Get32(info + 12)));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceGetIrqInfo, 15, 0, index, 0));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceGetIrqInfo, 16, 0, 5, 0));
    }

    [Theory]
    [InlineData(19, Trigger | None, Msix, 0u, 1u, Einval)]
    [InlineData(20, Trigger | None, 5, 0u, 1u, Einval)]
    [InlineData(20, 64 | Trigger | None, Msix, 0u, 1u, Einval)] // an unknown flag
    [InlineData(20, Trigger, Msix, 0u, 1u, Einval)] // no kind of data
    [InlineData(64, Trigger | None | Bool, Msix, 0u, 1u, Einval)] // two kinds
    [InlineData(20, None, Msix, 0u, 1u, Enotty)] // no action
    [InlineData(20, Mask | Trigger | None, Msix, 0u, 1u, Enotty)] // two actions
    [InlineData(20, Mask | None, Msix, 0u, 1u, Enotty)] // messages are masked in the table
    [InlineData(20, Unmask | None, Msi, 0u, 1u, Enotty)]
    [InlineData(20, Mask | None, Err, 0u, 1u, Enotty)]
    [InlineData(20, Trigger | None, Msix, 70u, 1u, Einval)]
    [InlineData(20, Trigger | None, Msix, 69u, 2u, Einval)]
    [InlineData(20, Trigger | None, Msix, 1u, 0xfffffffeu, Einval)] // start and count wrap
    [InlineData(20, Trigger | None, Msix, 0u, 0xffffffffu, Einval)]
    [InlineData(23, Trigger | EventFds, Msix, 0u, 1u, Einval)] // no space for the descriptor
    [InlineData(20, Trigger | Bool, Msix, 0u, 1u, Einval)]
    [InlineData(20, Trigger | None, Msix, 0u, 1u, Einval)] // not enabled
    [InlineData(20, Trigger | None, Msix, 0u, 0u, Einval)]
    [InlineData(20, Trigger | EventFds, Msix, 0u, 0u, Erange)] // no vector
    [InlineData(20, Trigger | None, Intx, 0u, 1u, Einval)]
    [InlineData(20, Mask | None, Intx, 0u, 1u, Einval)]
    [InlineData(20, Unmask | None, Intx, 0u, 1u, Einval)]
    [InlineData(20, Trigger | None, Err, 0u, 1u, Einval)] // no eventfd
    [InlineData(20, Trigger | None, Req, 0u, 0u, Einval)]
    [InlineData(20, Trigger | Bool, Req, 0u, 0u, Einval)]
    [InlineData(24, Trigger | EventFds, Req, 0u, 0u, Einval)]
    public void SET_IRQS_refuses_what_the_kernel_refuses(int argsz, uint flags, int index, uint start, uint count, long expected) =>
        Assert.Equal(expected, _rig.Ask(_device, DeviceSetIrqs, argsz, flags, index, start, count, new byte[64]));

    [Fact]
    public void A_descriptor_that_is_no_eventfd_binds_nothing_and_unbinds_those_before_it()
    {
        (EventFd first, int number) = NewEvent();
        Assert.Equal(0, Bind(Msix, 0, number));
        using SharedMemory file = SharedMemory.Create("test", 4096);
        Assert.Equal(Einval, Bind(Msix, 0, number, Caller.Add(file.File.Duplicate())));
        Assert.Equal(0, Fire(Msix, 0, 2));
        Assert.Equal(0ul, first.Drain());
        Assert.Equal(Ebadf, Bind(Msix, 0, 999));
        Assert.Equal(0, Disable(Msix));

        // One that enables the kind leaves it off.
        Assert.Equal(Ebadf, Bind(Msix, 0, number, 999));
        Assert.Equal(Einval, Fire(Msix, 0, 1));
    }

    [Fact]
    public void A_function_uses_one_kind_at_a_time()
    {
        (_, int number) = NewEvent();
        Assert.Equal(0, Bind(Msi, 0, number));
        Assert.Equal(Einval, Bind(Msix, 0, number));
        Assert.Equal(Einval, Bind(Intx, 0, number));
        Assert.Equal(Einval, Disable(Msix));
        Assert.Equal(0, Bind(Err, 0, number)); // not one of them
        Assert.Equal(0, Disable(Msi));
        Assert.Equal(Einval, Disable(Msi));
        Assert.Equal(0, Bind(Intx, 0, number));
    }

    [Fact]
    public void Vectors_of_MSIX_are_added_while_others_are_in_use_and_those_of_MSI_are_not()
    {
        (EventFd first, int number) = NewEvent();
        (EventFd second, int other) = NewEvent();
        Assert.Equal(0, Bind(Msix, 0, number));
        Assert.Equal(0, Bind(Msix, 69, other));
        Assert.Equal(0, Fire(Msix, 69, 1));
        Assert.Equal((0ul, 1ul), (first.Drain(), second.Drain()));
        Assert.Equal(0, Disable(Msix));
        Assert.Equal(0, Bind(Msi, 0, number));
        Assert.Equal(Einval, Bind(Msi, 1, other));
        Assert.Equal(0, Bind(Msi, 1, -1)); // to unbind needs none
        Assert.Equal(0, Fire(Msi, 0, 1));
        Assert.Equal(1ul, first.Drain());
    }

    [Fact]
    public void Some_vectors_are_fired_by_bools_and_messages_of_the_function_arrive()
    {
        (EventFd first, int number) = NewEvent();
        (EventFd second, int other) = NewEvent();
        Assert.Equal(0, Bind(Msix, 3, number, -1, other));
        Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 23, Trigger | Bool, Msix, 3, 3, new byte[] { 0, 1, 1 }));
        Assert.Equal((0ul, 1ul), (first.Drain(), second.Drain()));
        Command(4);
        _rig.Functions[0].Slot.SignalMsix(3);
        Assert.Equal(1ul, first.Drain());
        Assert.Equal(0, Bind(Msix, 3, -1));
        _rig.Functions[0].Slot.SignalMsix(3);
        Assert.Equal(0ul, first.Drain());
    }

    [Fact]
    public void The_pin_is_masked_when_it_fires_and_unmasked_by_request_or_eventfd()
    {
        (EventFd fired, int number) = NewEvent();
        (EventFd unmask, int other) = NewEvent();
        Assert.Equal(0, Bind(Intx, 0, number));
        _rig.Functions[0].Slot.SetIntx(true);
        Assert.Equal(1ul, fired.Drain());
        Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 20, Unmask | None, Intx, 0, 1));
        Assert.Equal(1ul, fired.Drain());
        Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 24, Unmask | EventFds, Intx, 0, 1, other));
        Assert.Equal(Ebusy, _rig.Ask(_device, DeviceSetIrqs, 24, Unmask | EventFds, Intx, 0, 1, other));
        unmask.Signal();
        Assert.True(fired.Wait(HangGuard.Timeout));
        Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 24, Unmask | EventFds, Intx, 0, 1, -1));
        Assert.Equal(Enotty, _rig.Ask(_device, DeviceSetIrqs, 24, Mask | EventFds, Intx, 0, 1, other));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceSetIrqs, 20, Mask | None, Intx, 0, 0));
        Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 20, Mask | None, Intx, 0, 1));
        Assert.Equal(0, Disable(Intx));
    }

    [Fact]
    public void ERR_and_REQ_are_bound_fired_and_unbound()
    {
        foreach (int index in new[] { Err, Req })
        {
            (EventFd bound, int number) = NewEvent();
            Assert.Equal(0, Bind(index, 0, number));
            Assert.Equal(0, Fire(index, 0, 1));
            Assert.Equal(1ul, bound.Drain());
            Assert.Equal(0, _rig.Ask(_device, DeviceSetIrqs, 21, Trigger | Bool, index, 0, 1, new byte[] { 1 }));
            Assert.Equal(1ul, bound.Drain());
            Assert.Equal(Einval, Bind(index, 0, -2));
            Assert.Equal(0, Fire(index, 0, 0));
            Assert.Equal(Einval, Fire(index, 0, 1));
            Assert.Equal(0, Bind(index, 0, -1));
        }

        (EventFd error, int told) = NewEvent();
        Assert.Equal(0, Bind(Err, 0, told));
        _rig.Functions[0].Slot.ReportError();
        Assert.Equal(1ul, error.Drain());
    }

    [Fact]
    public void A_reset_clears_registers_and_leaves_the_function_set_up()
    {
        Command(6);
        Write(RegionIndex.Config, 0x10, 0xfeb00000);
        Write(RegionIndex.Bar0, 0, 0x99);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceReset));
        Assert.Equal(0x11u, Read(RegionIndex.Bar0, 0)); // memory is on still
        Assert.Equal((6u, 0xfeb00000), (Read(RegionIndex.Config, 4) & 7, Read(RegionIndex.Config, 0x10)));
    }

    [Fact]
    public void Closing_the_device_unbinds_its_interrupts_and_resets_it()
    {
        (EventFd bound, int number) = NewEvent();
        Assert.Equal(0, Bind(Msix, 0, number));
        int before = _rig.Functions[0].Resets;
        Caller.Close(_device);
        Assert.True(_rig.Functions[0].Resets > before);
        _rig.Functions[0].Slot.SignalMsix(0);
        Assert.Equal(0ul, bound.Drain());
    }

    private void EnableMemory() => Command(2);

    private void Command(uint bits)
    {
        ulong from = Caller.Put(bits);
        Assert.Equal(2, Caller.FileOf(_device)!.Write(Caller, RegionOffsets.Of(RegionIndex.Config) + 4, from, 2));
    }


    private long Write(RegionIndex region, ulong offset, uint value) =>
        Caller.FileOf(_device)!.Write(Caller, RegionOffsets.Of(region) + offset, Caller.Put(value), 4);

    private uint Read(RegionIndex region, ulong offset)
    {
        ulong to = Caller.Allocate(4);
        Assert.Equal(4, Caller.FileOf(_device)!.Read(Caller, RegionOffsets.Of(region) + offset, to, 4));
        return Caller.Get32(to);
    }

    private (EventFd Event, int Number) NewEvent()
    {
        EventFd made = EventFd.Create();
        _events.Add(made);
        return (made, Caller.Add(made));
    }

    private long Bind(int index, int start, params int[] numbers) => _rig.Ask(
        _device, DeviceSetIrqs, [20 + (4 * numbers.Length), Trigger | EventFds, index, start, numbers.Length, .. numbers.Select(number => (object)number)]);

    private long Fire(int index, int start, int count) => _rig.Ask(_device, DeviceSetIrqs, 20, Trigger | None, index, start, count);

    private long Disable(int index) => Fire(index, 0, 0);
}
