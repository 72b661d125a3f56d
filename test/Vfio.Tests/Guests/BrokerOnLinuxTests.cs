using System.Text.Json;
using Vfio.Kernel;
using Vfio.Tests.Guests.Inside;
using Vfio.Tests.Net;

namespace Vfio.Tests.Guests;

/// <summary>The broker in a guest, with functions that Linux assigns to it behind an emulated IOMMU, and two users, each with devices of
/// their own.</summary>
[Collection(nameof(GuestCollection))]
public sealed class BrokerOnLinuxTests : IDisposable
{
    /// <summary>The device on which leases end in the midst of DMA.</summary>
    internal const string AlicesEdu = "edu-a";

    /// <summary>The same, by the kernel's own descriptors.</summary>
    internal const string AlicesDirectEdu = "edu-d";

    private const string BobsEdu = "edu-b", BobsDisk = "disk", AlicesPort = "port";
    private const string FirstEdu = "0000:01:00.0", SecondEdu = "0000:02:00.0", Disk = "0000:03:00.0", Physical = "0000:04:00.0", Virtual = "0000:04:10.0";
    private const string Folder = "/run/broker", SocketPath = $"{Folder}/s", Signals = "/run/signals";
    private readonly GuestWire _wire = new();
    private GuestMachine? _machine;
    private int _round;

    private GuestAgent Agent => _machine!.Agent;

    private static string Alice => AsUser(65533);

    private static string Bob => AsUser(65532);

    private static string Root => $"/usr/bin/env VFIO_BROKER={SocketPath}";

    [Fact]
    public void Two_users_have_their_devices_through_both_interfaces_and_whatever_ends_a_lease_leaves_hardware_quiet()
    {
        Boot();
        foreach (VfioInterface vfioInterface in new[] { VfioInterface.Group, VfioInterface.Cdev })
        {
            StartBroker(vfioInterface);
            StartHolder();
            AssertEachHasTheirOwn(vfioInterface);
            AssertQuietAfter(() => Assert.Contains("has ended", Vfio($"revoke {AlicesEdu} --now", Root)));
            AssertQuietAfter(() =>
            {
                Agent.Do($"kill -9 $(cat {Folder}/pid)");
                Agent.WaitFor($"test ! -e /proc/$(cat {Folder}/pid)");
                foreach (string function in new[] { FirstEdu, SecondEdu, Disk, Virtual })
                    AssertNoBusMaster(function);
                StartBroker(vfioInterface);
            });
            AssertQuietAfter(
                () =>
                {
                    string holder = Agent.Do($"for p in $(pidof dotnet); do grep -q {nameof(HeldLeaseTests)} /proc/$p/cmdline && echo $p; done");
                    Agent.Do($"kill -9 {holder}");
                    Agent.WaitFor($"test -e {Signals}/exit");
                },
                holderEnds: true);
            AssertDirect();
            StopBroker();
        }

        foreach (string function in new[] { FirstEdu, SecondEdu, Disk, Virtual })
            Vfio($"unbind {function}", "");
        Assert.DoesNotContain("Call Trace", Agent.Do("dmesg"));
        Assert.Equal(0, _machine!.PowerOff());
    }

    public void Dispose()
    {
        _machine?.Dispose();
        _wire.Dispose();
    }

    private static string AsUser(int user) => $"{Root} /usr/bin/setpriv --reuid={user} --regid={user} --clear-groups";

    private void Boot()
    {
        GuestParts.Need();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
                "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2",
                "-device", "pcie-root-port,id=slot3,chassis=3", "-device", "pcie-root-port,id=slot4,chassis=4",
                "-device", "edu,bus=slot1", "-device", "edu,bus=slot2",
                "-drive", "driver=null-co,size=1M,if=none,id=disk,read-zeroes=on", "-device", "nvme,drive=disk,serial=1,bus=slot3",
                "-netdev", _wire.Netdev, "-device", "igb,id=card,bus=slot4,netdev=wire,mac=02:00:00:00:00:01",
                .. GuestMachine.HostFiles]);
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) up");
        Agent.Do($"echo 0 > /sys/bus/pci/devices/{Physical}/sriov_drivers_autoprobe");
        Assert.Equal(Virtual, Vfio($"vfs {Physical} 1", ""));
        foreach (string function in new[] { FirstEdu, SecondEdu, Disk, Virtual })
            Vfio($"bind {function} --user nobody", "");
        Agent.Do($"mkdir -m 777 {Folder} {Signals}");
        string policy = JsonSerializer.Serialize(new
        {
            devices = new Dictionary<string, object>
            {
                [AlicesEdu] = new { address = $"{FirstEdu}?guard=1" },
                [AlicesDirectEdu] = new { address = FirstEdu },
                [BobsEdu] = new { address = $"{SecondEdu}?guard=1" },
                [BobsDisk] = new { address = Disk },
                [AlicesPort] = new { address = $"{Virtual}?guard=1" },
            },
            rules = new object[]
            {
                new { name = "alice", users = new[] { 65533 }, devices = new[] { AlicesEdu, AlicesPort } },
                new { name = "direct", users = new[] { 65533 }, devices = new[] { AlicesDirectEdu }, direct = true },
                new { name = "bob", users = new[] { 65532 }, devices = new[] { BobsEdu, BobsDisk } },
            },
        });
        Agent.Do($"echo '{policy}' > /run/policy.json");
    }

    /// <summary>With the group, the broker is a user without privileges to whom the functions were bound; else it is root.</summary>
    private void StartBroker(VfioInterface vfioInterface)
    {
        string broker = VfioInGuest.Command(
            $"broker --policy /run/policy.json --socket {SocketPath} --audit {Folder}/audit", vfioInterface == VfioInterface.Group ? VfioInGuest.Nobody : "");
        Agent.Do($"rm -f {SocketPath}; ({broker}) > /run/broker.log 2>&1 & echo");
        Agent.WaitFor($"test -S {SocketPath}");
        Agent.Do($"for p in $(pidof {VfioInGuest.ProcessName}); do grep -q policy.json /proc/$p/cmdline && echo $p; done > {Folder}/pid; test -s {Folder}/pid");
    }

    private void StopBroker()
    {
        Agent.Do($"kill $(cat {Folder}/pid)");
        Agent.WaitFor($"test ! -e /proc/$(cat {Folder}/pid)");
        foreach (string function in new[] { FirstEdu, SecondEdu, Disk, Virtual })
            AssertNoBusMaster(function);
    }

    private void AssertEachHasTheirOwn(VfioInterface vfioInterface)
    {
        AssertDrives(Alice, AlicesEdu);
        AssertDrives(Bob, BobsEdu);
        AssertRefused(Alice, BobsEdu);
        AssertRefused(Alice, FirstEdu.Replace("01", "02", StringComparison.Ordinal));
        AssertRefused(Bob, AlicesEdu);
        AssertRefused(Bob, AlicesPort);
        AssertRefused(Alice, BobsDisk);
        Assert.Contains("QEMU NVMe Ctrl", Vfio($"nvme lease:{BobsDisk} identify", Bob));

        // A virtual function that answers a peer outside, while it is looked by which interface the broker has it.
        Agent.Do($"({VfioInGuest.Command($"net lease:{AlicesPort} echo --address {Frames.OwnAddress} --mac {Frames.OwnMac}", Alice)}) > /run/echo.log 2>&1 & echo");
        Agent.WaitFor("grep -q 'Ctrl-C ends it' /run/echo.log || grep -q vfio: /run/echo.log");
        Assert.DoesNotContain("vfio:", Agent.Do("cat /run/echo.log"));
        string open = Agent.Do($"ls -l /proc/$(cat {Folder}/pid)/fd | grep -o '/dev/.*' | sort -u");
        Assert.Equal(vfioInterface == VfioInterface.Cdev, open.Contains("/dev/vfio/devices/vfio", StringComparison.Ordinal));
        Assert.Equal(vfioInterface == VfioInterface.Group, open.Contains("/dev/vfio/vfio", StringComparison.Ordinal));
        _wire.Send(Frames.ArpRequest);
        Assert.Equal(Frames.ArpReply, _wire.Receive(Frames.PeerMac));
        _wire.Send(Frames.EchoRequest);
        Assert.Equal(Frames.EchoReply, _wire.Receive(Frames.PeerMac));
        Assert.Contains(AlicesPort, Vfio("leases", Alice));
        Assert.Contains("no leases", Vfio("leases", Bob));
        Agent.Do($"kill $(for p in $(pidof {VfioInGuest.ProcessName}); do grep -q lease:{AlicesPort} /proc/$p/cmdline && echo $p; done)");
        Agent.WaitFor($"grep -q 'ICMP echo' /run/echo.log");
    }

    /// <summary>Starts a program of alice's whose device writes to her memory without end.</summary>
    private void StartHolder()
    {
        string holder = VfioInGuest.Tests($"/usr/bin/env {HeldLeaseTests.Variable}={Signals} {Alice}", typeof(HeldLeaseTests));
        Agent.Do($"rm -f {Signals}/*; ({holder}; echo $? > {Signals}/exit) > /run/holder.log 2>&1 & echo");
        _round = 0;
    }

    /// <summary>A user drives a device by the kernel's descriptors. When it is revoked in the midst of DMA the user is killed, or is stopped in
    /// vain where the broker may not kill: in the end the device is back.</summary>
    private void AssertDirect()
    {
        AssertDrives(Alice, AlicesDirectEdu);
        AssertRefused(Bob, AlicesDirectEdu);
        StartHolder();
        Agent.Do($"echo {AlicesDirectEdu} > {Signals}/{HeldLeaseTests.Free}0");
        WaitForHolder($"{Signals}/{HeldLeaseTests.Running}0");
        Assert.NotEqual(0u, Command(FirstEdu) & 4);
        (int status, string output) = Agent.Ask(VfioInGuest.Command($"peek lease:{AlicesEdu} bar0 0", Alice));
        Assert.True(status == 1 && output.Contains("(errno 16)", StringComparison.Ordinal), output);
        Assert.Contains("has ended", Vfio($"revoke {AlicesDirectEdu} --now", Root));
        AssertNoBusMaster(FirstEdu);
        Agent.WaitFor($"test -e {Signals}/exit");
        AssertDrives(Alice, AlicesEdu);
        AssertDrives(Alice, AlicesDirectEdu);
        Assert.Contains("no leases", Vfio("leases", Root));
    }

    /// <summary>Ends a lease in the midst of DMA, and looks whether anything is written afterwards.</summary>
    private void AssertQuietAfter(Action end, bool holderEnds = false)
    {
        string PathOf(string step) => $"{Signals}/{step}{_round}";
        Agent.Do($"echo {AlicesEdu} > {PathOf(HeldLeaseTests.Free)}");
        WaitForHolder(PathOf(HeldLeaseTests.Running));
        Assert.NotEqual(0u, Command(FirstEdu) & 4);
        int faults = Faults();
        end();

        AssertNoBusMaster(FirstEdu);
        if (!holderEnds)
            WaitForHolder(PathOf(HeldLeaseTests.Ended));
        AssertDrives(Alice, AlicesEdu);
        Assert.Equal(faults + FaultsOfDriving, Faults());
        if (!holderEnds)
        {
            Agent.Do($"echo > {PathOf(HeldLeaseTests.Taken)}");
            WaitForHolder(PathOf(HeldLeaseTests.Quiet));
        }

        Assert.Contains("no leases", Vfio("leases", Root));
        _round++;
    }

    private void WaitForHolder(string file)
    {
        Agent.WaitFor($"test -e {file} || test -e {Signals}/exit");
        Assert.True(Agent.Ask($"test -e {file}").Status == 0, Agent.Ask("cat /run/holder.log").Output);
    }

    // The demo's driver lets the device read what was never mapped.
    private const int FaultsOfDriving = 1;

    private int Faults() => (int)Agent.Number("dmesg | grep -c 'DMAR: \\[DMA' || true");

    private uint Command(string function) => Convert.ToUInt32(Agent.Do($"chroot /host setpci -s {function} COMMAND"), 16);

    private void AssertNoBusMaster(string function)
    {
        Agent.WaitFor($"test $((0x$(chroot /host setpci -s {function} COMMAND) & 4)) = 0");
        Assert.Equal(0u, Command(function) & 4);
    }

    private string Vfio(string words, string user) => Agent.Do(VfioInGuest.Command(words, user));

    private void AssertRefused(string user, string device)
    {
        (int status, string output) = Agent.Ask(VfioInGuest.Command($"peek lease:{device} bar0 0", user));
        Assert.True(status == 1, output);
        Assert.Contains("(errno 13)", output);
    }

    private void AssertDrives(string user, string device)
    {
        string[] steps = ["open", "ids", "msi", "bar", "dma", "reset", "size", "live", "factorial", "page", "close"];
        string[] lines = Agent.Do($"printf '{string.Join("\\n", steps)}\\n' | {VfioInGuest.Command($"demo-user lease:{device}", user)}").Split('\n');
        Assert.True(steps.Length == lines.Length, string.Join('\n', lines));
        foreach ((string step, string line) in steps.Zip(lines))
            Assert.True(step == "reset" || JsonDocument.Parse(line).RootElement.GetProperty("ok").GetBoolean(), line);
    }
}
