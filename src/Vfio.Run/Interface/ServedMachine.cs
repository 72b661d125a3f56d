using System.Globalization;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Run.Interface;

/// <summary>The devices of one run, and the files by which a program reaches them: a server of the kernel's interface, as
/// <c>VfioUserServer</c> is one of a socket's.</summary>
/// <remarks>What it answers is what Linux 7.3 answers: <c>drivers/vfio</c> and <c>drivers/iommu/iommufd</c>, with an IOMMU that has pages of
/// 4 KiB, 2 MiB and 1 GiB. Any thread may call it and its files.</remarks>
internal sealed class ServedMachine
{
    private const string ContainerPath = "/dev/vfio/vfio", GroupFolder = "/dev/vfio/", CdevFolder = "/dev/vfio/devices/vfio", IommuPath = "/dev/iommu";
    private readonly Dictionary<int, MachineGroup> _groups = [];
    private readonly Dictionary<int, MachineFunction> _functions = [];

    /// <summary>Makes the machine; nothing is opened.</summary>
    /// <param name="devices">Its devices.</param>
    /// <param name="mapping">Which BARs a program may map.</param>
    /// <param name="record">Where it is recorded what programs leave behind; null for nowhere.</param>
    /// <exception cref="ArgumentException">Two have one address or one number.</exception>
    public ServedMachine(IReadOnlyList<ServedDevice> devices, BarMapping mapping = BarMapping.All, RunRecord? record = null)
    {
        ArgumentNullException.ThrowIfNull(devices);
        Mapping = mapping;
        Record = record ?? new RunRecord(log: null);
        Devices = devices;
        foreach (ServedDevice device in devices)
        {
            if (!_groups.TryGetValue(device.Group, out MachineGroup? group))
                _groups.Add(device.Group, group = new MachineGroup(this, device.Group));
            MachineFunction added = new(device, group);
            if (_functions.Values.Any(other => other.Address == added.Address) || !_functions.TryAdd(device.Number, added))
                throw new ArgumentException($"{device.Address} and vfio{device.Number} are not the only ones", nameof(devices));
            group.Functions.Add(added);
        }
    }

    /// <summary>The devices.</summary>
    public IReadOnlyList<ServedDevice> Devices { get; }

    /// <summary>Which BARs a program may map.</summary>
    internal BarMapping Mapping { get; }

    /// <summary>Where it is recorded what programs leave behind.</summary>
    internal RunRecord Record { get; }

    /// <summary>Held to open and close devices, and to put groups into containers and take them out. Never taken by who has the lock of an
    /// address space.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>The functions on a bus, by address.</summary>
    internal IReadOnlyList<MachineFunction> OnBusOf(PciAddress address) =>
        [.. _functions.Values.Where(function => function.Address.Domain == address.Domain && function.Address.Bus == address.Bus)
            .OrderBy(function => (function.Address.Device, function.Address.Function))];

    /// <summary>Opens one of its files.</summary>
    /// <param name="path">The absolute path, without links: <c>/dev/vfio/vfio</c>, <c>/dev/vfio/7</c>, <c>/dev/vfio/devices/vfio0</c>,
    /// <c>/dev/iommu</c>.</param>
    /// <param name="file">The file; to be disposed once no process has it any more. Null when the open is refused.</param>
    /// <returns>The error: ENOENT where it has no such file, EBUSY where it is open already and only one may have it.</returns>
    public Errno Open(string path, out ServedFile? file)
    {
        ArgumentNullException.ThrowIfNull(path);
        file = null;
        if (path == ContainerPath)
            file = new ServedContainer(Record);
        else if (path == IommuPath)
            file = new ServedIommu(Record);
        else if (TryNumber(path, CdevFolder, out int index) && _functions.TryGetValue(index, out MachineFunction? function) && function.IsBound)
            file = ServedDeviceFile.OfCdev(function);
        else if (TryNumber(path, GroupFolder, out int number) && _groups.TryGetValue(number, out MachineGroup? group))
            return group.Open(out file);
        return file is null ? Errno.NoEntry : Errno.None;
    }

    /// <summary>Binds a function to vfio-pci, or unbinds it: it cannot be opened then. Who has it open is asked to release it (REQ), and keeps
    /// it until it does.</summary>
    internal void SetBound(PciAddress address, bool isBound)
    {
        lock (Lock)
        {
            MachineFunction function = Find(address);
            function.IsBound = isBound;
            if (!isBound)
                function.Device?.Interrupts.RequestRelease();
        }
    }

    /// <summary>Resets a function that is open; another one is reset when it is opened.</summary>
    internal Errno Reset(PciAddress address)
    {
        lock (Lock)
            return Find(address).Device?.Reset() ?? Errno.None;
    }

    /// <summary>Reads config space of a function that is open.</summary>
    /// <returns>False when it is not open, or does not answer.</returns>
    internal bool TryReadConfig(PciAddress address, Span<byte> bytes)
    {
        lock (Lock)
            return Find(address).Device?.Regions.TryReadConfig(bytes) ?? false;
    }

    /// <summary>Writes config space of a function that is open, past its user.</summary>
    internal void WriteConfig(PciAddress address, int offset, ReadOnlySpan<byte> bytes)
    {
        lock (Lock)
            Find(address).Device?.Regions.TryWriteConfig(offset, bytes);
    }

    private MachineFunction Find(PciAddress address) => _functions.Values.First(function => function.Address == address);

    // As the kernel writes the number: "07" is another name.
    private static bool TryNumber(string path, string prefix, out int number)
    {
        number = 0;
        return path.StartsWith(prefix, StringComparison.Ordinal)
            && int.TryParse(path.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number)
            && number.ToString(CultureInfo.InvariantCulture).Length == path.Length - prefix.Length;
    }
}
