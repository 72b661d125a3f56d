using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>A reset of all functions on a bus: <c>drivers/vfio/pci/vfio_pci_core.c</c>.</summary>
/// <remarks>Functions on bus 0 are at the root, where no bridge could reset them: ENODEV.</remarks>
internal static class HotReset
{
    private const uint HasNumbers = 1, IsOwned = 2;

    /// <summary>What a program reads in place of a number: it owns the function without one, or it does not own it.</summary>
    private const uint OwnedWithoutNumber = 0, NotOwned = uint.MaxValue;

    /// <summary>VFIO_DEVICE_GET_PCI_HOT_RESET_INFO.</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="argument">The struct.</param>
    /// <param name="device">The device.</param>
    /// <param name="isCdev">Whether its own file asks: functions have their numbers then, and otherwise their groups.</param>
    internal static long Describe(ICaller caller, ulong argument, OpenDevice device, bool isCdev)
    {
        int headBytes = Blittable.SizeOf<vfio_pci_hot_reset_info>();
        if (!caller.TryRead(argument, out vfio_pci_hot_reset_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < headBytes)
            return Answer.Of(Errno.InvalidArgument);
        if (!CanReset(device))
            return Answer.Of(Errno.NoDevice);
        lock (device.Function.Group.Machine.Lock)
        {
            IReadOnlyList<MachineFunction> functions = FunctionsWith(device);
            info.flags = 0;
            info.count = (uint)functions.Count;
            if (functions.Count > (info.argsz - headBytes) / Blittable.SizeOf<vfio_pci_dependent_device>())
            {
                long written = caller.Answer(argument, info);
                return written != 0 ? written : Answer.Of(Errno.NoSpace);
            }

            vfio_pci_dependent_device[] devices = [.. functions.Select(function => Describe(function, device, isCdev))];
            if (isCdev)
                info.flags = HasNumbers | (Array.Exists(devices, found => found.group_id == NotOwned) ? 0 : IsOwned);
            return caller.TryWrite(argument + (uint)headBytes, Blittable.AsBytes<vfio_pci_dependent_device>(devices))
                ? caller.Answer(argument, info)
                : Answer.Of(Errno.BadAddress);
        }
    }

    /// <summary>VFIO_DEVICE_PCI_HOT_RESET.</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="argument">The struct.</param>
    /// <param name="device">The device.</param>
    /// <param name="isCdev">Whether its own file asks: its iommufd has to own all functions then, and otherwise the groups of the request.</param>
    internal static Errno Execute(ICaller caller, ulong argument, OpenDevice device, bool isCdev)
    {
        int headBytes = Blittable.SizeOf<vfio_pci_hot_reset>();
        if (!caller.TryRead(argument, out vfio_pci_hot_reset reset))
            return Errno.BadAddress;
        if (reset.argsz < headBytes || reset.flags != 0 || (reset.count == 0) != isCdev)
            return Errno.InvalidArgument;
        if (!CanReset(device))
            return Errno.NoDevice;

        // As many groups as functions, at most.
        IReadOnlyList<MachineFunction> functions = FunctionsWith(device);
        if (reset.count > functions.Count)
            return Errno.InvalidArgument;
        Errno error = ReadGroups(caller, argument + (uint)headBytes, (int)reset.count, out HashSet<MachineGroup> groups);
        if (error != Errno.None)
            return error;
        lock (device.Function.Group.Machine.Lock)
        {
            foreach (MachineFunction function in functions)
            {
                if (isCdev ? Describe(function, device, isCdev).group_id == NotOwned : !groups.Contains(function.Group))
                    return Errno.InvalidArgument;
            }

            List<OpenDevice> open = [.. functions.Select(function => function.Device).OfType<OpenDevice>()];
            if (!open.TrueForAll(found => found.Device.Info.CanReset))
                return Errno.NoSuchOperation;
            foreach (OpenDevice found in open)
                found.Reset();
            return Errno.None;
        }
    }

    private static bool CanReset(OpenDevice device) => device.Function.Address.Bus != 0;

    private static IReadOnlyList<MachineFunction> FunctionsWith(OpenDevice device) =>
        device.Function.Group.Machine.OnBusOf(device.Function.Address);

    private static vfio_pci_dependent_device Describe(MachineFunction function, OpenDevice asker, bool isCdev) => new()
    {
        group_id = isCdev ? GetNumber(function, asker.Bound?.Iommu) : (uint)function.Group.Number,
        segment = (ushort)function.Address.Domain,
        bus = function.Address.Bus,
        devfn = (byte)((function.Address.Device << 3) | function.Address.Function),
    };

    private static uint GetNumber(MachineFunction function, ServedIommu? iommu) =>
        function.Device is { Bound: { } bound } && bound.Iommu == iommu ? bound.Number.Id
        : function.Group.Functions.Exists(other => other.Device?.Bound?.Iommu == iommu && iommu is not null) ? OwnedWithoutNumber
        : NotOwned;

    private static Errno ReadGroups(ICaller caller, ulong address, int count, out HashSet<MachineGroup> groups)
    {
        groups = [];
        int[] descriptors = new int[count];
        for (int i = 0; i < count; i++)
        {
            if (!caller.TryRead(address + (ulong)(i * sizeof(int)), out descriptors[i]))
                return Errno.BadAddress;
        }

        foreach (int descriptor in descriptors)
        {
            switch (caller.FileOf(descriptor))
            {
                case ServedGroup group:
                    groups.Add(group.Group);
                    break;
                case null:
                    using (FileDescriptor? other = caller.CopyDescriptor(descriptor))
                        return other is null ? Errno.BadDescriptor : Errno.InvalidArgument;
                default:
                    return Errno.InvalidArgument;
            }
        }

        return Errno.None;
    }
}
