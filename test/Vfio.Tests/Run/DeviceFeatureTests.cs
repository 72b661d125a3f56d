using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Memory;
using Vfio.Run.Interface;
using static Vfio.Tests.Run.InterfaceRig;

namespace Vfio.Tests.Run;

/// <summary>VFIO_DEVICE_FEATURE, as linux/vfio.h and vfio_main.c have it.</summary>
public sealed class DeviceFeatureTests : IDisposable
{
    private const uint Get = 1 << 16, Set = 1 << 17, Probe = 1 << 18;
    private readonly InterfaceRig _rig = new();
    private readonly int _container;
    private readonly int _device;

    public DeviceFeatureTests() => (_container, _, _device) = _rig.OpenByGroup();

    private TestCaller Caller => _rig.Caller;

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData(7, Get | 1, Einval)]
    [InlineData(16, (1u << 19) | Get | 1, Einval)]
    [InlineData(16, Get | Set | 2, Einval)]
    [InlineData(8, Probe | Get | Set | 2, 0)]
    [InlineData(8, Probe | 1, 0)]
    [InlineData(8, Probe | Get | 1, 0)]
    [InlineData(8, Probe | Set | 1, Einval)]
    [InlineData(15, Get | 1, Einval)] // no space for the data
    [InlineData(16, 1, Einval)] // neither got nor set
    [InlineData(8, Probe | 0, Enotty)] // a VF token
    [InlineData(8, Probe | 3, 0)]
    [InlineData(8, Probe | 6, 0)]
    [InlineData(8, Probe | Set | 8, Einval)]
    [InlineData(8, Probe | 10, Enotty)]
    [InlineData(8, Probe | 11, Enotty)]
    [InlineData(8, Probe | 999, Enotty)]
    public void Features_are_probed_and_refused(uint argsz, uint flags, long expected) =>
        Assert.Equal(expected, _rig.Ask(_device, DeviceFeature, argsz, flags, 0ul));

    [Fact]
    public void Logged_writes_are_reported_once()
    {
        Assert.Equal(0, _rig.Map(_container, Caller.Allocate(0x8000), 0x100000, 0x8000));
        ulong bitmap = Caller.Allocate(8);
        object[] report = [40, Get | 8, 0x100000ul, 0x8000ul, 0x1000ul, bitmap];
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, report));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, 8, Set | 7));
        ulong ranges = Caller.Put(0x100000ul, 0x8000ul);
        ulong start = Caller.Put(32, Set | 6, 0x10000ul, 1, 0, ranges);
        Assert.Equal(Einval, _rig.Ioctl(_device, DeviceFeature, start)); // not a multiple of its pages
        Assert.True(Caller.TryWrite(start + 8, BitConverter.GetBytes(0x2000ul)));
        Assert.Equal(0, _rig.Ioctl(_device, DeviceFeature, start));
        Assert.Equal(0x1000ul, Caller.Get64(start + 8)); // finer than asked for
        Assert.Equal(Einval, _rig.Ioctl(_device, DeviceFeature, start));
        Assert.Equal(Errno.None, _rig.WriteByDma(_device, 0x105000, 1));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, report));
        Assert.Equal(0x20ul, Caller.Get64(bitmap));
        Assert.True(Caller.TryWrite(bitmap, new byte[8]));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, report));
        Assert.Equal(0ul, Caller.Get64(bitmap));
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, 40, Get | 8, 0x100000ul, 0x8000ul, 0x800ul, bitmap));
        Assert.Equal(Eoverflow, _rig.Ask(_device, DeviceFeature, 40, Get | 8, 0xfffffffffffff000ul, 0x8000ul, 0x1000ul, bitmap));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 8, Set | 7));
    }

    [Fact]
    public void The_page_tables_record_and_the_devices_see_each_page_once_each()
    {
        using InterfaceRig rig = new();
        (int iommu, int device, uint space, uint number) = rig.OpenByCdev(attaches: false);
        ulong alloc = rig.Caller.Put(24, 2, number, space, 0, 0);
        Assert.Equal(0, rig.Ioctl(iommu, HwptAlloc, alloc));
        uint table = rig.Caller.Get32(alloc + 16);
        Assert.Equal(0, rig.Ask(device, AttachPt, 12, 0, table));
        Assert.Equal(0, rig.Ask(iommu, IoasMap, 40, 7, space, 0, rig.Caller.Allocate(0x8000), 0x8000ul, 0x100000ul));
        Assert.Equal(0, rig.Ask(device, DeviceFeature, 32, Set | 6, 0x1000ul, 1, 0, rig.Caller.Put(0x100000ul, 0x8000ul)));
        Assert.Equal(0, rig.Ask(iommu, SetDirtyTracking, 16, 1, table, 0));
        Assert.Equal(Errno.None, rig.WriteByDma(device, 0x101000, 1));
        ulong first = rig.Caller.Allocate(8), second = rig.Caller.Allocate(8);
        Assert.Equal(0, rig.Ask(iommu, GetDirtyBitmap, 48, table, 0, 0, 0x100000ul, 0x8000ul, 0x1000ul, first));
        Assert.Equal(0, rig.Ask(device, DeviceFeature, 40, Get | 8, 0x100000ul, 0x8000ul, 0x1000ul, second));
        Assert.Equal((2ul, 2ul), (rig.Caller.Get64(first), rig.Caller.Get64(second)));
    }

    [Theory]
    [InlineData(0u, 0x1000ul, 0x100000ul, 0x1000ul, Einval)]
    [InlineData(257u, 0x1000ul, 0x100000ul, 0x1000ul, E2big)]
    [InlineData(1u, 0ul, 0x100000ul, 0x1000ul, Einval)]
    [InlineData(1u, 0x1800ul, 0x100000ul, 0x1800ul, Einval)]
    [InlineData(1u, 0x1000ul, 0x100800ul, 0x1000ul, Einval)]
    [InlineData(1u, 0x1000ul, 0xfffffffffffff000ul, 0x2000ul, Eoverflow)]
    [InlineData(2u, 0x1000ul, 0x100000ul, 0x1000ul, Einval)] // the same twice
    public void Logging_refuses_what_the_kernel_refuses(uint count, ulong page, ulong start, ulong length, long expected) =>
        Assert.Equal(expected, _rig.Ask(_device, DeviceFeature, 32, Set | 6, page, count, 0, Caller.Put(start, length, start, length)));

    [Fact]
    public void A_state_goes_through_a_file_and_into_another_device()
    {
        _rig.Functions[0].Own = 42;
        ulong features = Caller.Put(16, Get | 1, 0ul);
        Assert.Equal(0, _rig.Ioctl(_device, DeviceFeature, features));
        Assert.Equal(1ul, Caller.Get64(features + 8));
        Assert.Equal((2u, -1), StateOf(_device));
        int from = SetState(_device, 3);
        Assert.Equal((3u, -1), StateOf(_device));
        byte[] saved = ReadAll(((ServedFile)Caller.FileOf(from)!).Content!);
        Assert.NotEmpty(saved);
        Caller.Close(from);
        Assert.Equal(-1, SetState(_device, 2));

        int to = SetState(_device, 4);
        using (FileStream write = new($"/proc/self/fd/{Caller.FileOf(to)!.Content!.Number}", FileMode.Open, FileAccess.Write))
            write.Write(saved);
        _rig.Functions[0].Own = 1;
        Assert.Equal(-1, SetState(_device, 2));
        Assert.Equal(42, _rig.Functions[0].Own);
        Assert.Equal(Einval, _rig.Ask(to, 0x3b79, 24, 0, 0ul, 0ul));
    }

    [Fact]
    public void States_that_the_device_does_not_have_are_EINVAL_and_the_answer_is_written()
    {
        foreach (uint state in new[] { 0u, 5u, 6u, 7u, 8u, uint.MaxValue })
        {
            ulong set = Caller.Put(16, Set | 2, state, 77);
            Assert.Equal(Einval, _rig.Ioctl(_device, DeviceFeature, set));
            Assert.Equal(uint.MaxValue, Caller.Get32(set + 12));
        }

        Assert.Equal((2u, -1), StateOf(_device));
    }

    [Fact]
    public void A_state_that_is_not_one_is_refused_and_a_reset_ends_it()
    {
        int to = SetState(_device, 4);
        using (FileStream write = new($"/proc/self/fd/{Caller.FileOf(to)!.Content!.Number}", FileMode.Open, FileAccess.Write))
            write.Write(new byte[100]);
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, 16, Set | 2, 2, 0));
        Assert.Equal(0, _rig.Ioctl(_device, DeviceReset));
        Assert.Equal((2u, -1), StateOf(_device));
    }

    [Fact]
    public void An_access_wakes_the_device_and_signals_the_eventfd_once()
    {
        using EventFd woken = EventFd.Create();
        int number = Caller.Add(woken);
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, 16, Set | 4, -1, 0));
        Assert.Equal(Ebadf, _rig.Ask(_device, DeviceFeature, 16, Set | 4, 999, 0));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 16, Set | 4, number, 0));
        Assert.Equal(0ul, woken.Drain());
        Assert.Equal(4, Caller.FileOf(_device)!.Read(Caller, RegionOffsets.Of(RegionIndex.Config), Caller.Allocate(4), 4));
        Assert.Equal(1ul, woken.Drain());
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 8, Set | 3));
        Assert.Equal(0ul, woken.Drain());
        Assert.Equal(Einval, _rig.Ask(_device, DeviceFeature, 8, Set | 3)); // without one it stays allowed
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 8, Set | 5));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 8, Set | 5));
        Assert.Equal(0, _rig.Ask(_device, DeviceFeature, 8, Set | 3));
    }

    private (uint State, int Data) StateOf(int device)
    {
        ulong get = Caller.Put(16, Get | 2, 0, 0);
        Assert.Equal(0, _rig.Ioctl(device, DeviceFeature, get));
        return (Caller.Get32(get + 8), (int)Caller.Get32(get + 12));
    }

    private int SetState(int device, uint state)
    {
        ulong set = Caller.Put(16, Set | 2, state, 0);
        Assert.Equal(0, _rig.Ioctl(device, DeviceFeature, set));
        return (int)Caller.Get32(set + 12);
    }

    private static byte[] ReadAll(FileDescriptor file)
    {
        using SharedMemory memory = SharedMemory.Share(file, 0, FileIdentity.Of(file).LengthBytes, writable: false);
        byte[] bytes = new byte[memory.Length];
        Assert.True(memory.TryRead(0, bytes));
        return bytes;
    }
}
