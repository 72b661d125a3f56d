using System.Text.Json;

namespace Vfio.Tests.Guests;

/// <summary>The output of <c>vfio events</c> in a guest during hot plug.</summary>
public sealed class EventTests : IDisposable
{
    private const string Edu = "0000:01:00.0", Physical = "0000:02:00.0";
    private readonly Lazy<GuestMachine> _machine = new(Start);

    private GuestAgent Agent => _machine.Value.Agent;

    [Fact]
    public void Hot_plug_and_driver_changes_are_events_and_a_user_releases_a_function_on_request()
    {
        GuestParts.Need();
        Agent.Do($"{VfioInGuest.Command("events --json", output: "/tmp/events")} &");
        Agent.WaitFor("grep -q listening /tmp/events");

        // By hand, as the command does it and others do too.
        Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{Edu}/driver_override; echo {Edu} > /sys/bus/pci/drivers_probe");
        Await(Edu, "bound", "vfio-pci");
        Agent.Do($"echo {Edu} > /sys/bus/pci/drivers/vfio-pci/unbind");
        Await(Edu, "unbound", "vfio-pci");
        Agent.Do($"echo 1 > /sys/bus/pci/devices/{Edu}/remove; echo 1 > /sys/bus/pci/rescan");
        Await(Edu, "removed");
        Await(Edu, "added");
        Agent.Do($"echo 2 > /sys/bus/pci/devices/{Physical}/sriov_numvfs");
        Await(Physical, "virtual-functions-changed");
        Assert.Contains(Events(), item => item.TryGetProperty("virtualFunctions", out JsonElement count) && count.GetInt32() == 2);

        // A process has the function open, and closes it within the time of the release request.
        Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{Edu}/driver_override; echo {Edu} > /sys/bus/pci/drivers_probe");
        Hold();
        Assert.Contains($"{Edu} has no driver", Agent.Do(VfioInGuest.Command($"unbind {Edu} --wait 60")));
        Agent.WaitFor($"grep -q '{Edu} release requested within 60 s' /tmp/held");

        // It is removed: the kernel asks, and waits for as long as it takes.
        Agent.Do("kill $(cat /run/holder); rm /tmp/held");
        Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{Edu}/driver_override; echo {Edu} > /sys/bus/pci/drivers_probe");
        Hold();
        Agent.Do(": > /tmp/events");
        _machine.Value.Monitor.Execute("device_del", new { id = "edu" });
        _machine.Value.Monitor.WaitForEvent("DEVICE_DELETED");
        Agent.WaitFor($"grep -q '{Edu} release requested$' /tmp/held");
        Await(Edu, "removed");
        _machine.Value.Monitor.Execute("device_add", new { driver = "edu", id = "edu", bus = "slot1" });
        Await(Edu, "added");
    }

    public void Dispose()
    {
        if (_machine.IsValueCreated)
            _machine.Value.Dispose();
    }

    private static GuestMachine Start() => new(
        "",
        ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2",
            "-device", "edu,id=edu,bus=slot1", "-device", "igb,bus=slot2", .. GuestMachine.HostFiles]);

    private void Hold()
    {
        Agent.Do($"sh -c '{VfioInGuest.Command($"events --open {Edu}", output: "/tmp/held")} & echo $! > /run/holder'");
        Agent.WaitFor("grep -q listening /tmp/held");
    }

    private void Await(string device, string kind, string? driver = null) =>
        Agent.WaitFor($"grep '\"event\":\"{kind}\",\"device\":\"{device}\"' /tmp/events | grep -q '{driver}'");

    private JsonElement[] Events() =>
    [
        .. Agent.Do("grep '^{' /tmp/events").Split('\n').Select(line => JsonDocument.Parse(line).RootElement),
    ];
}
