using Vfio.Guard;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Run.Interface;
using Vfio.Tests.Guard;

namespace Vfio.Tests.Run;

/// <summary>A machine with a function in group 7, two that share group 8 and their bus, and one on bus 0; and a program that talks to
/// it.</summary>
internal sealed class InterfaceRig : IDisposable
{
    internal const string First = "0000:01:00.0", Second = "0000:02:00.0", Third = "0000:02:00.1", AtRoot = "0000:00:03.0";

    // linux/vfio.h and linux/iommufd.h: type ';', base 100.
    internal const uint GetApiVersion = 0x3b64, CheckExtension = 0x3b65, SetIommu = 0x3b66, GroupGetStatus = 0x3b67, GroupSetContainer = 0x3b68,
        GroupUnsetContainer = 0x3b69, GroupGetDeviceFd = 0x3b6a, DeviceGetInfo = 0x3b6b, DeviceGetRegionInfo = 0x3b6c, DeviceGetIrqInfo = 0x3b6d,
        DeviceSetIrqs = 0x3b6e, DeviceReset = 0x3b6f, GetPciHotResetInfo = 0x3b70, PciHotReset = 0x3b71, DeviceFeature = 0x3b75,
        BindIommufd = 0x3b76, AttachPt = 0x3b77, DetachPt = 0x3b78, IommuGetInfo = 0x3b70, MapDma = 0x3b71, UnmapDma = 0x3b72,
        IommuDirtyPages = 0x3b75, Destroy = 0x3b80, IoasAlloc = 0x3b81, AllowIovas = 0x3b82, IoasCopy = 0x3b83, IovaRanges = 0x3b84,
        IoasMap = 0x3b85, IoasUnmap = 0x3b86, Option = 0x3b87, VfioIoas = 0x3b88, HwptAlloc = 0x3b89, GetHwInfo = 0x3b8a,
        SetDirtyTracking = 0x3b8b, GetDirtyBitmap = 0x3b8c, MapFile = 0x3b8f;

    // asm-generic/errno-base.h and errno.h.
    internal const long Eperm = -1, Enoent = -2, E2big = -7, Ebadf = -9, Enomem = -12, Eacces = -13, Efault = -14, Ebusy = -16, Eexist = -17, Enodev = -19,
        Einval = -22, Emfile = -24, Enotty = -25, Enospc = -28, Erange = -34, Eoverflow = -75, Ebadfd = -77, Emsgsize = -90, Eopnotsupp = -95,
        Eaddrinuse = -98;

    private readonly List<GuardedFunction> _guards = [];

    internal InterfaceRig(BarMapping mapping = BarMapping.All)
    {
        Machine = new ServedMachine([Serve(First, 7, 0), Serve(Second, 8, 1), Serve(Third, 8, 2), Serve(AtRoot, 9, 3)], mapping);
    }

    internal ServedMachine Machine { get; }

    internal TestCaller Caller { get; } = new();

    internal List<MovableFunction> Functions { get; } = [];

    /// <summary>Opens a file by its path.</summary>
    internal int Open(string path)
    {
        Assert.Equal(Errno.None, Machine.Open(path, out ServedFile? file));
        return Caller.Add(file!);
    }

    internal long Ioctl(int descriptor, uint request, ulong argument = 0) => Caller.FileOf(descriptor)!.Ioctl(Caller, request, argument);

    /// <summary>An ioctl whose struct is these fields.</summary>
    internal long Ask(int descriptor, uint request, params object[] fields) => Ioctl(descriptor, request, Caller.Put(fields));

    /// <summary>Opens the first function by its group.</summary>
    internal (int Container, int Group, int Device) OpenByGroup(int type = 3)
    {
        int container = Open("/dev/vfio/vfio");
        int group = Open("/dev/vfio/7");
        Assert.Equal(0, Ask(group, GroupSetContainer, container));
        Assert.Equal(0, Ioctl(container, SetIommu, (ulong)type));
        long device = Ask(group, GroupGetDeviceFd, Text(First));
        Assert.True(device > 0, $"{device}");
        return (container, group, (int)device);
    }

    /// <summary>Opens a function by its own file, in an address space.</summary>
    internal (int Iommu, int Device, uint Space, uint Number) OpenByCdev(int index = 0, bool attaches = true)
    {
        int iommu = Open("/dev/iommu");
        int device = Open($"/dev/vfio/devices/vfio{index}");
        ulong bind = Caller.Put(16, 0, iommu, 0);
        Assert.Equal(0, Ioctl(device, BindIommufd, bind));
        uint space = NewSpace(iommu);
        if (attaches)
            Assert.Equal(0, Ask(device, AttachPt, 12, 0, space));
        return (iommu, device, space, Caller.Get32(bind + 12));
    }

    internal uint NewSpace(int iommu)
    {
        ulong alloc = Caller.Put(12, 0, 0);
        Assert.Equal(0, Ioctl(iommu, IoasAlloc, alloc));
        return Caller.Get32(alloc + 8);
    }

    /// <summary>Maps a page for reading and writing in a container.</summary>
    internal long Map(int container, ulong memory, ulong iova, ulong bytes = 0x1000, uint flags = 3) =>
        Ask(container, MapDma, 32, flags, memory, iova, bytes);

    internal long Unmap(int container, ulong iova, ulong bytes, out ulong unmapped, uint flags = 0)
    {
        ulong argument = Caller.Put(24, flags, iova, bytes);
        long result = Ioctl(container, UnmapDma, argument);
        unmapped = Caller.Get64(argument + 16);
        return result;
    }

    /// <summary>Turns bus mastering on, as a driver does, and lets the function write.</summary>
    internal Errno WriteByDma(int device, ulong iova, params byte[] bytes)
    {
        ulong command = Caller.Put(new byte[] { 6, 0 });
        Assert.Equal(2, Caller.FileOf(device)!.Write(Caller, RegionOffsets.Of(RegionIndex.Config) + 4, command, 2));
        return Functions[0].Slot.WriteMemory(new Iova(iova), bytes);
    }

    internal static byte[] Text(string text) => [.. System.Text.Encoding.ASCII.GetBytes(text), 0];

    public void Dispose()
    {
        Caller.Dispose();
        foreach (GuardedFunction guard in _guards)
            guard.Dispose();
    }

    private ServedDevice Serve(string address, int group, int index)
    {
        Assert.True(PciAddress.TryParse(address, out PciAddress parsed));
        MovableFunction function = new();
        GuardedFunction guard = new(function);
        Functions.Add(function);
        _guards.Add(guard);
        return new ServedDevice(parsed, group, index, guard.Open);
    }
}
