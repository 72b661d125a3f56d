using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>A machine made here: sysfs, procfs and device files in a folder, and a kernel that binds drivers as Linux does and refuses what a
/// test wants refused.</summary>
internal sealed class FakeMachine : IBindingSystem, IDisposable
{
    private readonly Dictionary<string, string> _fittingDrivers = [];
    private readonly Dictionary<string, FileStatus> _nodes = [];
    private int _group = 100;

    public FakeMachine()
    {
        Paths = new KernelPaths
        {
            Sysfs = PathOf("sys"),
            Proc = PathOf("proc"),
            Dev = PathOf("dev"),
            Records = PathOf("run/vfio"),
            Overrides = PathOf("etc/driverctl.d"),
            SavedPermits = PathOf("etc/vfio/permits"),
        };
        Write("sys/bus/pci/drivers_probe", "");
        Directory.CreateDirectory(PathOf("proc"));
        AddDriver("vfio-pci");
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("vfio-machine-").FullName;

    public KernelPaths Paths { get; }

    public DeviceBinder DeviceBinder => new(Paths, this);

    /// <summary>Numbers of disks that have an exclusive user.</summary>
    public HashSet<string> ExclusivelyUsed { get; } = [];

    /// <summary>Every change so far: what, and of whom.</summary>
    public List<string> Changes { get; } = [];

    /// <summary>Which change is refused, counted from 0; -1 for none.</summary>
    public int RefusedChange { get; set; } = -1;

    /// <summary>Drivers that refuse every function.</summary>
    public HashSet<string> BrokenDrivers { get; } = [];

    public Errno Permission { get; set; }

    public bool IsPrivileged => true;

    public void Dispose() => Directory.Delete(Root, recursive: true);

    public string PathOf(string relative) => Path.Combine(Root, relative);

    public void Write(string relative, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(relative))!);
        File.WriteAllText(PathOf(relative), text);
    }

    public string Read(string relative) => File.ReadAllText(PathOf(relative)).Trim();

    public void AddDriver(string name) => Directory.CreateDirectory(PathOf($"sys/bus/pci/drivers/{name}"));

    public void RemoveDriver(string name) => Directory.Delete(PathOf($"sys/bus/pci/drivers/{name}"), recursive: true);

    /// <summary>Adds a function with the driver that fits it.</summary>
    public PciAddress AddFunction(string address, string? driver, int? group, uint classCode = 0x020000, byte headerType = 0)
    {
        byte[] config = new byte[256];
        config[0x0e] = headerType;
        Write(FolderOf(address) + "/class", $"0x{classCode:x6}\n");
        File.WriteAllBytes(PathOf(FolderOf(address) + "/config"), config);
        Write(FolderOf(address) + "/driver_override", "(null)\n");
        Write(FolderOf(address) + "/vendor", "0x8086\n");
        Write(FolderOf(address) + "/device", "0x10c9\n");
        if (group is { } number)
        {
            Directory.CreateDirectory(PathOf($"sys/kernel/iommu_groups/{number}/devices/{address}"));
            Link(FolderOf(address) + "/iommu_group", $"sys/kernel/iommu_groups/{number}");
        }

        if (driver is not null)
        {
            AddDriver(driver);
            Bind(address, driver);
            if (driver != "vfio-pci")
                _fittingDrivers[address] = driver;
        }

        return Address(address);
    }

    /// <summary>Adds something of a class below a function: a disk, an interface. With a number it has a file in <c>/dev</c>.</summary>
    public string AddMember(string kind, string address, string below, string? number = null)
    {
        string folder = $"{FolderOf(address)}/{below}", name = Path.GetFileName(below);
        Directory.CreateDirectory(PathOf(folder));
        if (number is not null)
        {
            Write($"{folder}/dev", number + "\n");
            AddNode(name, kind == "block" ? FileKind.BlockDevice : FileKind.CharacterDevice, number);
        }

        Link($"sys/class/{kind}/{name}", folder);
        return folder;
    }

    /// <summary>Adds a device's file.</summary>
    public void AddNode(string name, FileKind kind, string number, uint user = 0)
    {
        Write($"dev/{name}", "");
        Assert.True(DeviceNumber.TryParse(number, out DeviceNumber parsed));
        _nodes[PathOf($"dev/{name}")] = new FileStatus(kind, parsed, user, user, 0x180, 1, 0);
    }

    /// <summary>Adds a process that has files open.</summary>
    public void AddProcess(int process, string name, params string[] nodes)
    {
        Write($"proc/{process}/comm", name + "\n");
        Write($"proc/{process}/status", "Name:\tx\nUid:\t0\t0\t0\t0\n");
        for (int i = 0; i < nodes.Length; i++)
        {
            Directory.CreateDirectory(PathOf($"proc/{process}/fd"));
            File.CreateSymbolicLink(PathOf($"proc/{process}/fd/{i}"), PathOf($"dev/{nodes[i]}"));
        }
    }

    public void Link(string name, string target)
    {
        Directory.CreateDirectory(PathOf(target));
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(name))!);
        Directory.CreateSymbolicLink(PathOf(name), PathOf(target));
    }

    public string? DriverOf(string address) =>
        Path.Exists(PathOf(FolderOf(address) + "/driver")) ? Path.GetFileName(new FileInfo(PathOf(FolderOf(address) + "/driver")).LinkTarget) : null;

    public uint OwnerOf(string node) => _nodes[PathOf($"dev/{node}")].UserId;

    /// <summary>All that binding can change, in one text.</summary>
    public string Snapshot()
    {
        IEnumerable<string> functions = Directory.GetDirectories(PathOf("sys/bus/pci/devices")).Order()
            .Select(folder => $"{Path.GetFileName(folder)}: {DriverOf(Path.GetFileName(folder))} {File.ReadAllText(folder + "/driver_override").Trim()}");
        IEnumerable<string> nodes = _nodes.Where(node => File.Exists(node.Key)).OrderBy(node => node.Key).Select(node => $"{node.Key} {node.Value}");
        IEnumerable<string> files = new[] { Paths.Records, Paths.Overrides }.Where(Directory.Exists).SelectMany(Directory.GetFiles).Order()
            .Select(file => $"{file}: {File.ReadAllText(file)}");
        return string.Join('\n', functions.Concat(nodes).Concat(files));
    }

    public static PciAddress Address(string text)
    {
        Assert.True(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    public Errno AskExclusive(string node, DeviceNumber number) =>
        StatusOf(node, follow: false) is not { Kind: FileKind.BlockDevice } status || status.Number != number ? Errno.NoEntry
        : ExclusivelyUsed.Contains($"{number}") ? Errno.Busy
        : Errno.None;

    public FileStatus? StatusOf(string path, bool follow)
    {
        string target = follow && new FileInfo(path).LinkTarget is { } link ? link : path;
        return _nodes.TryGetValue(target, out FileStatus node) ? node : FileStatus.TryGet(target, follow: false);
    }

    public Errno MayWrite(string path) => Permission;

    public void WriteAttribute(KernelFunction function, string name, string value)
    {
        string address = function.ToString();
        Change($"{address} {name} = {value.Trim()}", address);
        switch (name)
        {
            case "driver_override":
                Write($"{FolderOf(address)}/driver_override", value == "\n" ? "(null)\n" : value + "\n");
                break;
            case "driver/unbind":
                Unbind(address);
                break;
            case "../../drivers_probe":
                Probe(address);
                break;
            default:
                function.Write(name, value);
                break;
        }
    }

    public void ChangeOwner(string node, DeviceNumber number, uint userId, uint groupId)
    {
        Change($"owner of {Path.GetFileName(node)} = {userId}", node);
        Assert.Equal(_nodes[node].Number, number);
        _nodes[node] = _nodes[node] with { UserId = userId, GroupId = groupId };
    }

    public byte[]? ReadRecord(string folder, string name) => new LinuxBindingSystem().ReadRecord(folder, name);

    public void WriteRecord(string folder, string name, byte[]? content)
    {
        Change($"{name} = {content?.Length}", name);
        new LinuxBindingSystem().WriteRecord(folder, name, content);
    }

    /// <summary>What happens while the lock of the records is waited for.</summary>
    public Action? Locked { get; set; }

    public IDisposable Lock(string folder)
    {
        IDisposable held = new LinuxBindingSystem().Lock(folder);
        Locked?.Invoke();
        return held;
    }

    private static string FolderOf(string address) => $"sys/bus/pci/devices/{address}";

    private void Change(string what, string target)
    {
        if (Changes.Count == RefusedChange)
        {
            Changes.Add("refused: " + what);
            throw new VfioException(what, target, Errno.InputOutput);
        }

        Changes.Add(what);
    }

    private void Probe(string address)
    {
        string wanted = Read($"{FolderOf(address)}/driver_override");
        string? driver = wanted == "(null)" ? _fittingDrivers.GetValueOrDefault(address) : wanted;
        if (DriverOf(address) is null && driver is not null && Directory.Exists(PathOf($"sys/bus/pci/drivers/{driver}")) && !BrokenDrivers.Contains(driver))
            Bind(address, driver);
    }

    private void Bind(string address, string driver)
    {
        File.CreateSymbolicLink(PathOf(FolderOf(address) + "/driver"), PathOf($"sys/bus/pci/drivers/{driver}"));
        if (driver != "vfio-pci")
            return;
        int number = _group++;
        string? group = Path.GetFileName(new FileInfo(PathOf(FolderOf(address) + "/iommu_group")).LinkTarget);
        Write($"{FolderOf(address)}/vfio-dev/vfio{number}/dev", $"511:{number}\n");
        AddNode($"vfio/devices/vfio{number}", FileKind.CharacterDevice, $"511:{number}");
        if (group is null || File.Exists(PathOf($"dev/vfio/{group}")))
            return;
        Write($"sys/class/vfio/{group}/dev", $"244:{group}\n");
        AddNode($"vfio/{group}", FileKind.CharacterDevice, $"244:{group}");
    }

    private void Unbind(string address)
    {
        string? driver = DriverOf(address);
        File.Delete(PathOf(FolderOf(address) + "/driver"));
        if (driver != "vfio-pci")
            return;
        string folder = PathOf(FolderOf(address) + "/vfio-dev");
        foreach (string node in Directory.GetDirectories(folder))
            RemoveNode($"vfio/devices/{Path.GetFileName(node)}");
        Directory.Delete(folder, recursive: true);
        string? group = Path.GetFileName(new FileInfo(PathOf(FolderOf(address) + "/iommu_group")).LinkTarget);
        if (group is not null && !Directory.GetDirectories(PathOf($"sys/kernel/iommu_groups/{group}/devices")).Any(member => DriverOf(Path.GetFileName(member)) == "vfio-pci"))
            RemoveNode($"vfio/{group}");
    }

    private void RemoveNode(string name)
    {
        File.Delete(PathOf($"dev/{name}"));
        _nodes.Remove(PathOf($"dev/{name}"));
    }
}
