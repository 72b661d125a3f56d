using System.Diagnostics;
using System.Text.Json;

namespace Vfio.Tests.Guests;

/// <summary>What <c>vfio bind</c> refuses on Linux: a disk that only the kernel knows to be mounted, an interface that another network
/// namespace has, bridges; and that a dry run says the same.</summary>
public sealed class BindingTests : IDisposable
{
    private const string Disk = "0000:00:10.0", Net = "0000:00:11.0", Edu = "0000:01:00.0", Port = "0000:00:12.0";
    private readonly string _image = Path.Combine(Path.GetTempPath(), $"vfio-disk-{Guid.NewGuid()}");
    private GuestMachine? _machine;

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void What_this_machine_uses_is_refused_before_anything_is_changed_and_a_dry_run_says_the_same()
    {
        GuestParts.Need();
        MakeDisk();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
                "-drive", $"file={_image},format=raw,if=none,id=disk", "-device", "nvme,drive=disk,serial=1,addr=0x10",
                "-device", "e1000e,addr=0x11", "-device", "pcie-root-port,id=slot1,chassis=1,addr=0x12", "-device", "edu,bus=slot1",
                .. GuestMachine.HostFiles]);

        // Mounted where this process does not see it: no list has it, no program has it open.
        Agent.Do("mkdir -p /tmp/mnt; unshare -m sh -c 'mount -t ext4 /dev/nvme0n1 /tmp/mnt && touch /tmp/mounted && exec sleep 100000' >/tmp/log 2>&1 & "
            + "for i in $(seq 600); do test -e /tmp/mounted && exit 0; usleep 100000; done; cat /tmp/log; exit 1");
        Assert.NotEqual(0, Agent.Ask("grep nvme0n1 /proc/self/mountinfo").Status);
        Assert.Contains("nvme0n1 is in use", Refusal(16, Disk));
        Assert.Equal("nvme", Driver(Disk));
        Agent.Do("kill $(pidof sleep)");

        // An interface that is another namespace's is in no list of ours.
        Agent.Do("unshare -n sleep 100000 >/dev/null 2>&1 & for i in $(seq 600); do pidof sleep >/dev/null && exit 0; usleep 100000; done; exit 1");
        Agent.WaitFor("test \"$(readlink /proc/$(pidof sleep)/ns/net)\" != \"$(readlink /proc/self/ns/net)\"");
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Net}/net) netns $(pidof sleep)");
        Assert.Equal("", Agent.Do($"ls /sys/bus/pci/devices/{Net}/net"));
        Assert.Contains("another network namespace", Refusal(16, Net));
        Assert.Equal("e1000e", Driver(Net));
        Agent.Do("kill $(pidof sleep)");

        Assert.Contains("bridge", Refusal(22, Port));
        Assert.Contains("look-up of user", Refusal(2, $"{Edu} --user nobody-of-this-name"));
        string asUser = Agent.Ask(VfioInGuest.Command($"bind {Edu}", VfioInGuest.Nobody)).Output;
        Assert.Contains("only root may", asUser);
        Assert.NotEqual(0, Agent.Ask("test -e /run/vfio").Status);

        JsonElement bound = Json($"bind {Edu} --user nobody --json");
        Assert.Equal((true, "nobody"), (bound.GetProperty("changed").GetBoolean(), bound.GetProperty("assignedTo").GetString()));
        Assert.Contains("assigned to nobody already", Vfio($"bind {Edu}"));
        Assert.Contains("assigned to root now, and no longer to nobody", Vfio($"bind {Edu} --user root"));
        Assert.Equal("755 644", Agent.Do($"echo $(stat -c %a /run/vfio /run/vfio/{Edu}.json)"));
        string[] table = Vfio("ls | cat").Split('\n');
        Assert.Contains(table, line => line.StartsWith(Edu, StringComparison.Ordinal) && line.Contains("assigned to root", StringComparison.Ordinal));
        JsonElement released = Json($"unbind {Edu} --json").GetProperty("released")[0];
        Assert.Equal((Edu, JsonValueKind.Null), (released.GetProperty("address").GetString(), released.GetProperty("driver").ValueKind));
        Agent.WaitFor("! grep -q ' /tmp/mnt ' /proc/mounts");
        Agent.Do(VfioInGuest.Command($"bind {Disk}"));
        Assert.Contains($"{Disk} has the driver nvme", Vfio($"unbind {Disk}"));
        Assert.DoesNotContain("Call Trace", Agent.Do("dmesg"));
    }

    public void Dispose()
    {
        _machine?.Dispose();
        File.Delete(_image);
    }

    private void MakeDisk()
    {
        using (FileStream image = File.Create(_image))
            image.SetLength(8 << 20);
        try
        {
            using Process make = Process.Start("mkfs.ext4", ["-q", "-F", _image]);
            make.WaitForExit();
            Assert.Equal(0, make.ExitCode);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("mkfs.ext4 is not there");
        }
    }

    private string Driver(string function) => Agent.Do($"basename $(readlink /sys/bus/pci/devices/{function}/driver)");

    private string Vfio(string words) => Agent.Do(VfioInGuest.Command(words));

    private JsonElement Json(string words) => JsonDocument.Parse(Vfio(words)).RootElement;

    /// <summary>What binding and its dry run say, which is the same.</summary>
    private string Refusal(int errno, string words)
    {
        (int Status, string Output) dry = Agent.Ask(VfioInGuest.Command($"bind {words} --dry-run")), real = Agent.Ask(VfioInGuest.Command($"bind {words}"));
        Assert.Equal(dry, real);
        Assert.Equal(1, real.Status);
        string line = real.Output.Split('\n')[^1];
        Assert.Contains($"errno {errno})", line);
        return line;
    }
}
