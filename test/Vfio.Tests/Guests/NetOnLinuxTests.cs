using Vfio.Kernel;

namespace Vfio.Tests.Guests;

/// <summary><c>vfio net</c> inside Linux, as an ordinary user, on the kernel's own VFIO behind an emulated IOMMU and on QEMU's own 82576;
/// the peer on the wire is Linux itself.</summary>
[Collection(nameof(GuestCollection))]
public sealed class NetOnLinuxTests : IDisposable
{
    // The virtual functions of a physical one at device 8 start at device 24.
    private const string Physical = "0000:00:08.0", Virtual = "0000:00:18.0";
    private const string PhysicalMac = "02:00:00:00:00:07", PeerMac = "52:54:00:12:34:56";

    // Those that were sent until the first was answered come on top.
    private const string TwentyOrMore = @"answered, ICMP echo +([2-9]\d|\d{3,})\b";
    private readonly GuestMachine? _machine;

    public NetOnLinuxTests()
    {
        GuestParts.Need();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-netdev", "hubport,id=own,hubid=0", "-device", $"igb,netdev=own,mac={PhysicalMac},addr=0x08",
            "-netdev", "hubport,id=peer,hubid=0", "-device", $"virtio-net-pci,netdev=peer,mac={PeerMac}",
            .. GuestMachine.HostFiles]);
    }

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void Linux_pings_it_it_pings_Linux_and_tcpdump_reads_along()
    {
        Assign(Physical, VfioInterface.Group);
        RaiseCard(PeerMac);

        StartEcho(Physical, "192.0.2.7");
        Assert.Contains("20 packets received, 0% packet loss", Agent.Do("ping -c 20 -i 0.05 -W 300 -s 1472 192.0.2.7"));
        Assert.Equal("sent to port 7", Agent.Do(
            "chroot /host bash -c \"exec 3<>/dev/udp/192.0.2.7/7; echo -n 'sent to port 7' >&3; timeout 300 head -c 14 <&3\"").Trim());
        string sums = StopEcho();
        Assert.Matches(TwentyOrMore, sums);
        Assert.Matches("answered, UDP echo +1\\b", sums);
        Assert.DoesNotContain("wrong checksum", sums);

        Agent.Open(VfioInterface.Cdev);
        string ping = Agent.Do(Vfio(Physical, "ping 192.0.2.1 --address 192.0.2.7/24 --count 20 --interval 0.01 --timeout 300"));
        Assert.Contains($"192.0.2.1 is at {PeerMac}", ping);
        Assert.Contains("20 packets transmitted, 20 received, 0% packet loss", ping);

        // Nobody is at that address: Linux asks for it by ARP, to all. What else it sends is there too.
        Start(Physical, "capture - | chroot /host tcpdump -l -e -n -r -", "capture");
        Agent.WaitFor("ping -c 1 -W 1 192.0.2.9 >/dev/null; grep -q 'Request who-has 192.0.2.9 tell 192.0.2.1' /run/capture");
        Agent.Do($"kill $(pidof {VfioInGuest.ProcessName})");
        Agent.WaitFor("grep -q 'frames.*captured' /run/capture");
        Assert.Matches($"{PeerMac} > ff:ff:ff:ff:ff:ff.*Request who-has 192.0.2.9 tell 192.0.2.1", Agent.Do("cat /run/capture"));
        Assert.Equal(0, _machine!.PowerOff());
    }

    [Fact]
    public void A_virtual_function_pings_Linux_at_the_physical_one_and_is_pinged()
    {
        RaiseCard(PhysicalMac);
        Agent.Do($"echo 0 > /sys/bus/pci/devices/{Physical}/sriov_drivers_autoprobe");
        Agent.Do($"echo 1 > /sys/bus/pci/devices/{Physical}/sriov_numvfs");
        Agent.WaitFor($"test -e /sys/bus/pci/devices/{Virtual}");
        Assign(Virtual, VfioInterface.Group);

        string ping = Agent.Do(Vfio(Virtual, "ping 192.0.2.1 --address 192.0.2.7/24 --count 20 --interval 0.01 --timeout 300"));
        Assert.Contains($"192.0.2.1 is at {PhysicalMac}", ping);
        Assert.Contains("20 packets transmitted, 20 received, 0% packet loss", ping);

        Agent.Open(VfioInterface.Cdev);
        StartEcho(Virtual, "192.0.2.8");
        Assert.Contains("20 packets received, 0% packet loss", Agent.Do("ping -c 20 -i 0.05 -W 300 192.0.2.8"));
        Assert.Matches(TwentyOrMore, StopEcho());
        Assert.Equal(0, _machine!.PowerOff());
    }

    public void Dispose() => _machine?.Dispose();

    private static string Vfio(string function, string words) => VfioInGuest.Command($"net {function} {words}", VfioInGuest.Nobody);

    private void Assign(string function, VfioInterface vfioInterface)
    {
        Agent.Do(VfioInGuest.Command($"bind {function} --user nobody"));
        Agent.Open(vfioInterface);
    }

    /// <summary>Gives Linux 192.0.2.1 at the card with an address of Ethernet.</summary>
    private void RaiseCard(string mac) => Agent.Do(
        $"card=$(basename $(dirname $(grep -l {mac} /sys/class/net/*/address))) && ip addr add 192.0.2.1/24 dev $card && ip link set $card up");

    private void Start(string function, string words, string name) => Agent.Do($"({Vfio(function, words)}) > /run/{name} 2>&1 &");

    /// <summary>Starts to answer; the first answer takes as long as code takes to be compiled, for which Linux does not wait.</summary>
    private void StartEcho(string function, string address)
    {
        Start(function, $"echo --address {address}/24", "echo");
        Agent.WaitFor("grep -q 'Ctrl-C ends it' /run/echo");
        Agent.WaitFor($"ping -c 1 -W 5 {address} >/dev/null");
    }

    private string StopEcho()
    {
        Agent.Do($"kill $(pidof {VfioInGuest.ProcessName})");
        Agent.WaitFor($"! pidof {VfioInGuest.ProcessName}");
        return Agent.Do("cat /run/echo");
    }
}
