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

        // Every function of the machine is bound to vfio-pci, so each group is viable.
        GroupStatus flags = GroupStatus.Viable;
        lock (Group.Machine.Lock)
            flags |= _container is null ? GroupStatus.None : GroupStatus.ContainerSet;
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
            if (_container is not null)
                return Answer.Of(Errno.InvalidArgument);
            if (file is not ServedContainer container)
                return Answer.Of(Errno.BadDescriptorKind);
            Errno error = container.Enter();
            if (error == Errno.None)
                _container = container;
            return Answer.Of(error);
        }
    }

    private Errno UnsetContainer()
    {
        lock (Group.Machine.Lock)
        {
            if (_container is null)
                return Errno.InvalidArgument;
            if (_devices > 0)
                return Errno.Busy;
            Leave();
            return Errno.None;
        }
    }

    private void Leave()
    {
        _container?.Leave();
        _container = null;
    }

    private long GetDevice(ICaller caller, ulong argument)
    {
        Errno error = ReadName(caller, argument, out string name);
        MachineFunction? function = null;
        if (error == Errno.None)
            error = Match(name, out function);
        if (error != Errno.None)
            return Answer.Of(error);
        ServedDevice file;
        lock (Group.Machine.Lock)
        {
            if (_container?.Iommu is not TypeOneSpace iommu)
                return Answer.Of(Errno.InvalidArgument);

            // It cannot be closed meanwhile: this call has a reference.
            OpenDevice device = function!.Open(iommu.Space);
            TryAddReference();
            _devices++;
            file = ServedDevice.OfGroup(device, this);
        }

        int descriptor = caller.Install(file);
        if (descriptor < 0)
            file.Dispose();
        return descriptor;
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
