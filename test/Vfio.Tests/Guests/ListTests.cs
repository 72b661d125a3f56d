using System.Text.Json;
using System.Text.RegularExpressions;

namespace Vfio.Tests.Guests;

/// <summary>What <c>vfio ls</c> says of a guest's functions: two of one slot, one with virtual functions, a disk.</summary>
public sealed class ListTests : IDisposable
{
    private const string Disk = "0000:00:10.0", FirstOfTwo = "0000:01:00.0", SecondOfTwo = "0000:01:00.1", Physical = "0000:02:00.0";
    private readonly Lazy<GuestMachine> _machine = new(Start);

    private GuestAgent Agent => _machine.Value.Agent;

    [Fact]
    public void Every_function_is_listed_with_what_assigning_it_asks_for()
    {
        GuestParts.Need();
        JsonElement all = List();
        JsonElement disk = Find(all, Disk);
        Assert.Equal(("1b36", "0010", "nvme", "dmar0"), (Text(disk, "vendor"), Text(disk, "device"), Text(disk, "driver"), Text(disk, "iommu")));
        Assert.Contains("flr", Texts(disk, "resetMethods"));
        Assert.Equal($"{Disk} has the driver nvme", Text(disk, "viableReason"));
        Assert.Equal(7, Find(all, Physical).GetProperty("totalVirtualFunctions").GetInt32());

        // Both functions of a slot are in one group, for nothing keeps them from each other.
        Assert.Equal([FirstOfTwo, SecondOfTwo], Texts(Find(all, FirstOfTwo), "groupMembers"));
        BindOne(FirstOfTwo);
        string refusal = Agent.Ask(VfioInGuest.Command($"peek {FirstOfTwo} bar0 0")).Output;
        Assert.Contains($"{SecondOfTwo} (e1000e)", refusal);
        Assert.Contains("errno 1)", refusal);
        Vfio($"vfs {Physical} 2");

        all = List();
        Assert.Equal($"{SecondOfTwo} has the driver e1000e", Text(Find(all, FirstOfTwo), "viableReason"));
        string[] virtualFunctions = Texts(Find(all, Physical), "virtualFunctions");
        Assert.Equal(2, virtualFunctions.Length);
        JsonElement virtualFunction = Find(all, virtualFunctions[0]);
        Assert.Equal(("8086", "10ca", Physical), (Text(virtualFunction, "vendor"), Text(virtualFunction, "device"), Text(virtualFunction, "physicalFunction")));

        Assert.Contains("is assigned to root", Vfio($"bind {FirstOfTwo}"));
        Assert.StartsWith("0x", Vfio($"peek {FirstOfTwo} bar0 0"));
        string[] table = Vfio("ls | cat").Split('\n');
        Assert.Matches("ADDRESS +IDS +DRIVER +GROUP +STATE +NAME", table[0]);
        Assert.Contains(table, line => Regex.IsMatch(line, $@"^{FirstOfTwo}  8086:10d3  vfio-pci +\d+ +assigned to root "));
        Assert.Contains(table, line => Regex.IsMatch(line, $@"^{SecondOfTwo}  8086:10d3  vfio-pci +\d+ +assigned to root "));
        Assert.Contains(table, line => Regex.IsMatch(line, $@"^{Disk}  1b36:0010  nvme +\d+ +assignable "));
        Assert.Contains(table, line => Regex.IsMatch(line, $@"^{Physical}  8086:10c9  igb +\d+ +not assignable "));
        string[] tableOfUser = Vfio("ls | cat", "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups").Split('\n');
        Assert.Equal(table.Length, tableOfUser.Length);
        string block = Vfio($"ls {virtualFunctions[1]}");
        Assert.Contains($"a virtual function of {Physical}", block);
        Assert.Contains("well-behaved", block);
        Assert.Contains($"state         not assignable: it has 2 virtual functions; remove them with 'vfio vfs {Physical} 0'", Vfio($"ls {Physical}"));
    }

    public void Dispose()
    {
        if (_machine.IsValueCreated)
            _machine.Value.Dispose();
    }

    private static GuestMachine Start() => new(
        "",
        ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-drive", "driver=null-co,size=1M,if=none,id=disk", "-device", "nvme,drive=disk,serial=1,addr=0x10",
            "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2",
            "-device", "e1000e,bus=slot1,addr=0.0,multifunction=on", "-device", "e1000e,bus=slot1,addr=0.1", "-device", "igb,bus=slot2",
            .. GuestMachine.HostFiles]);

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static string[] Texts(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];

    private string Vfio(string words, string user = "") => Agent.Do(VfioInGuest.Command(words, user));

    private JsonElement List() => JsonDocument.Parse(Vfio("ls --json")).RootElement;

    private static JsonElement Find(JsonElement all, string address) => Assert.Single(all.EnumerateArray(), item => Text(item, "address") == address);

    /// <summary>Binds one function alone to vfio-pci, as an administrator may by hand.</summary>
    private void BindOne(string function)
    {
        Agent.Do($"echo {function} > /sys/bus/pci/devices/{function}/driver/unbind");
        Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{function}/driver_override");
        Agent.Do($"echo {function} > /sys/bus/pci/drivers_probe");
    }
}
