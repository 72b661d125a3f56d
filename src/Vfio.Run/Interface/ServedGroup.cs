using System.Text;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary><c>/dev/vfio/N</c>: the open file of a group, <c>drivers/vfio/group.c</c>.</summary>
/// <remarks>Each device that it gave keeps it open.</remarks>
/// <param name="group">The group.</param>
internal sealed class ServedGroup(MachineGroup group) : ServedFile
{
    private const uint LeastStatusBytes = 8;

    /// <summary>Longest name of a device with its options, with the NUL.</summary>
    private const int MaxNameBytes = 4096;

    private ServedContainer? _container;
    private ServedIommu? _iommu;
    private int _devices;

    /// <summary>The group.</summary>
    internal MachineGroup Group { get; } = group;

    /// <summary>Closes a device that it gave.</summary>
    internal void CloseDevice(MachineFunction function)
    {
        lock (Group.Machine.Lock)
        {
            function.Close();
            _devices--;
        }

        Release();
    }

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument) => (KernelRequest)request switch
    {
        KernelRequest.VFIO_GROUP_GET_STATUS => GetStatus(caller, argument),
        KernelRequest.VFIO_GROUP_SET_CONTAINER => SetContainer(caller, argument),
        KernelRequest.VFIO_GROUP_UNSET_CONTAINER => Answer.Of(UnsetContainer()),
        KernelRequest.VFIO_GROUP_GET_DEVICE_FD => GetDevice(caller, argument),
        _ => Answer.Of(Errno.NoSuchOperation),
    };

    /// <inheritdoc/>
    protected override void OnClose()
    {
        lock (Group.Machine.Lock)
        {
            Leave();
            Group.IsOpen = false;
        }
    }

    private long GetStatus(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_group_status status))
            return Answer.Of(Errno.BadAddress);
        if (status.argsz < LeastStatusBytes)
            return Answer.Of(Errno.InvalidArgument);

        // A function has vfio-pci or no driver, so each group is viable.
        GroupStatus flags = GroupStatus.Viable;
        lock (Group.Machine.Lock)
            flags |= HasIommu ? GroupStatus.ContainerSet : GroupStatus.None;
        status.flags = (uint)flags;
        return caller.Answer(argument, status);
    }

    private long SetContainer(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out int descriptor))
            return Answer.Of(Errno.BadAddress);
        ServedFile? file = caller.FileOf(descriptor);
        if (file is null)
        {
            using FileDescriptor? other = caller.CopyDescriptor(descriptor);
            if (other is null)
                return Answer.Of(Errno.BadDescriptor);
        }

        lock (Group.Machine.Lock)
        {
            if (HasIommu)
                return Answer.Of(Errno.InvalidArgument);
            return Answer.Of(file switch
            {
                ServedContainer container => Enter(container),
                ServedIommu iommu => Enter(iommu),
                _ => Errno.BadDescriptorKind,
            });
        }
    }

    private bool HasIommu => _container is not null || _iommu is not null;

    private Errno Enter(ServedContainer container)
    {
        Errno error = container.Enter();
        if (error == Errno.None)
            _container = container;
        return error;
    }

    /// <summary>Uses an iommufd in place of a container.</summary>
    private Errno Enter(ServedIommu iommu)
    {
        if (!iommu.TryAddReference())
            return Errno.BadDescriptor;
        iommu.EnsureVfioSpace();
        _iommu = iommu;
        return Errno.None;
    }

    private Errno UnsetContainer()
    {
        lock (Group.Machine.Lock)
        {
            if (!HasIommu)
                return Errno.InvalidArgument;
            if (_container is not null && _devices > 0)
                return Errno.Busy;
            Leave();
            return Errno.None;
        }
    }

    private void Leave()
    {
        _container?.Leave();
        _container = null;
        _iommu?.Release();
        _iommu = null;
    }

    private long GetDevice(ICaller caller, ulong argument)
    {
        Errno error = ReadName(caller, argument, out string name);
        MachineFunction? function = null;
        if (error == Errno.None)
            error = Match(name, out function);
        if (error != Errno.None)
            return Answer.Of(error);
        ServedDeviceFile file;
        lock (Group.Machine.Lock)
        {
            error = Open(function!, out OpenDevice? device);
            if (error != Errno.None)
                return Answer.Of(error);

            // It cannot be closed meanwhile: this call has a reference.
            TryAddReference();
            _devices++;
            file = ServedDeviceFile.OfGroup(device!, this);
        }

        int descriptor = caller.Install(file);
        if (descriptor < 0)
            file.Dispose();
        return descriptor;
    }

    private Errno Open(MachineFunction function, out OpenDevice? device)
    {
        device = null;
        if (_iommu is null && _container?.Iommu is null)
            return Errno.InvalidArgument;
        if (!function.IsBound)
            return Errno.NoDevice;
        bool isFirst = function.Device is null;
        OpenDevice opened = function.Open(_container?.Iommu?.Space);
        Errno error = Errno.None;
        bool isBound = false;
        try
        {
            if (_iommu is not null && isFirst)
                error = _iommu.Bind(opened, attachesVfioSpace: true);
            isBound = error == Errno.None;
        }
        finally
        {
            if (!isBound)
                function.Close();
        }

        device = isBound ? opened : null;
        return error;
    }

    /// <summary>Reads a string of the caller's, to its NUL. Not past the page that the NUL is in: the next one may not be there.</summary>
    private static Errno ReadName(ICaller caller, ulong address, out string name)
    {
        name = "";
        Span<byte> bytes = stackalloc byte[MaxNameBytes];
        int count = 0;
        while (count < bytes.Length)
        {
            ulong from = address + (uint)count;
            int piece = (int)Math.Min((ulong)(bytes.Length - count), AddressSpace.PageBytes - (from & (AddressSpace.PageBytes - 1)));
            if (from < address || !caller.TryRead(from, bytes.Slice(count, piece)))
                return Errno.BadAddress;
            int end = bytes.Slice(count, piece).IndexOf((byte)0);
            if (end >= 0)
            {
                name = Encoding.Latin1.GetString(bytes[..(count + end)]);
                return Errno.None;
            }

            count += piece;
        }

        return Errno.InvalidArgument;
    }

    /// <summary>Finds the function: its address, perhaps followed by options.</summary>
    /// <returns>ENODEV: the group has none of that name. EINVAL: the options are not those of vfio-pci, or a token that no function here
    /// needs.</returns>
    private Errno Match(string name, out MachineFunction? function)
    {
        function = Group.Functions.Find(candidate => IsNamed(name, candidate.Address.ToString()));
        if (function is null)
            return Errno.NoDevice;
        string options = name[function.Address.ToString().Length..].Trim(' ');
        return options.Length == 0 ? Errno.None : Errno.InvalidArgument;
    }

    private static bool IsNamed(string text, string name) =>
        text.StartsWith(name, StringComparison.Ordinal) && (text.Length == name.Length || text[name.Length] == ' ');
}
