using System.Text.Json;

namespace Vfio.Tests.Guests;

/// <summary>The command, and the driver of edu, in a guest: on what the kernel of Linux assigns, behind an emulated IOMMU, as an ordinary user.</summary>
public sealed class KernelTests : IDisposable
{
    private const string Edu = "0000:01:00.0";
    private const string Guarded = $"{Edu}?guard=1";
    private const string Nobody = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups";
    private readonly Lazy<GuestMachine> _machine = new(Start);

    private GuestAgent Agent => _machine.Value.Agent;

    [Fact]
    public void An_ordinary_user_drives_what_was_bound_for_it_through_both_interfaces_and_it_is_released()
    {
        GuestParts.Need();
        Assert.Contains($"run 'vfio bind {Edu}'", Refused($"peek {Edu} bar0 0"));

        Assert.Contains($"{Edu} is assigned to nobody", Vfio($"bind {Edu} --user nobody"));
        AssertDrives("group");
        AssertDrives("group", Guarded);

        // The other interface needs /dev/iommu too, which belongs to root until its udev rule says more.
        Agent.Do("chmod 666 /dev/iommu");
        AssertDrives("device file");
        AssertDrives("device file", Guarded);
        Assert.Contains("fault addr 0xdead000", Agent.Do("dmesg | grep DMAR"));

        AssertPermits();

        // What the kernel assigns can be assigned on, through the guard too.
        Agent.Do($"{VfioInGuest.Command($"serve {Guarded} --socket /run/s")} >/tmp/serve.log 2>&1 &");
        Agent.WaitFor("test -S /run/s");
        Assert.Equal("0x010000ed", Vfio("peek unix:/run/s bar0 0"));
        Agent.Do($"kill $(pidof {VfioInGuest.ProcessName})");
        Agent.WaitFor($"! pidof {VfioInGuest.ProcessName} >/dev/null");

        Agent.Do($"(echo open; sleep 1000) | {VfioInGuest.Command($"demo-user {Edu}")} >/tmp/open.log 2>&1 &");
        Agent.WaitFor("grep -q possible /tmp/open.log");
        Assert.Contains($"open in {VfioInGuest.ProcessName}", Refused($"unbind {Edu}"));
        Agent.Do("kill $(pidof sleep)");
        Agent.WaitFor($"! pidof {VfioInGuest.ProcessName} >/dev/null");

        Assert.Contains($"{Edu} has no driver", Vfio($"unbind {Edu}"));
        Assert.Equal("(null)", Agent.Do($"cat /sys/bus/pci/devices/{Edu}/driver_override"));
        Assert.Equal("", Agent.Do("ls /run/vfio"));
    }

    public void Dispose()
    {
        if (_machine.IsValueCreated)
            _machine.Value.Dispose();
    }

    private static GuestMachine Start() => new(
        "",
        ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "edu,bus=slot1", .. GuestMachine.HostFiles]);

    private string Vfio(string words, string user = "") => Agent.Do(VfioInGuest.Command(words, user));

    private string Refused(string words) => RefusedTo("", words);

    private string RefusedTo(string user, string words)
    {
        (int status, string output) = Agent.Ask(VfioInGuest.Command(words, user));
        Assert.True(status == 1, output);
        return output;
    }

    /// <summary>What the user of the demo tries, tried on the kernel's device. A BAR that the user moved stays so after a reset here.</summary>
    private void AssertDrives(string vfioInterface, string address = Edu)
    {
        string[] steps = ["who", "open", "ids", "msi", "bar", "dma", "reset", "size", "live", "factorial", "page", "close"];
        string[] lines = Agent.Do($"printf '{string.Join("\\n", steps)}\\n' | {VfioInGuest.Command($"demo-user {address}", Nobody)}").Split('\n');
        Assert.True(steps.Length == lines.Length, string.Join('\n', lines));
        foreach ((string step, string line) in steps.Zip(lines))
            Assert.True(step == "reset" || JsonDocument.Parse(line).RootElement.GetProperty("ok").GetBoolean(), $"{vfioInterface}, {address}: {line}");
    }

    /// <summary>QEMU's functions keep what is written between capabilities, and Linux lets it through: at 0x60 of edu is such a dword. The
    /// guard lets it through where root says so, and its owner's value is there afterwards.</summary>
    private void AssertPermits()
    {
        Agent.Do($"printf '\\170\\126\\064\\022' | dd of=/sys/bus/pci/devices/{Edu}/config bs=1 seek=96 conv=notrunc");
        Assert.Equal("0x12345678", Vfio($"poke {Guarded} config 0x60 0xffffffff -w 4", Nobody));
        Assert.Contains("only root may", RefusedTo(Nobody, $"permit {Edu} 0x60 0xffffffff 0xff"));
        Assert.Matches("0x60 +0xffffffff +0x000000ff +released", Vfio($"permit {Edu} 0x60 0xffffffff 0xff"));
        Assert.Equal("0x123456ff", Vfio($"poke {Guarded} config 0x60 0xffffffff -w 4", Nobody));
        Assert.Equal("0x12345678", Vfio($"peek {Guarded} config 0x60 -w 4", Nobody));
        Assert.Contains("the guard's own", Refused($"permit {Edu} 0x10 0xffffffff 1"));
        Assert.Contains("nothing is permitted", Vfio($"permit {Edu} 0x60 --remove"));
        Assert.Equal("0x12345678", Vfio($"poke {Guarded} config 0x60 0xffffffff -w 4", Nobody));
    }
}
