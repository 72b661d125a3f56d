namespace Vfio.Tests.Guests;

/// <summary><c>vfio net</c> inside Linux, on the kernel's own VFIO behind an emulated IOMMU and on QEMU's own 82576; the peer on the
/// wire is Linux itself, by another card.</summary>
[Collection(nameof(GuestCollection))]
public sealed class NetOnLinuxTests : IDisposable
{
    private const string Port = "0000:00:08.0", PortMac = "02:00:00:00:00:07", PeerMac = "52:54:00:12:34:56";
    private readonly GuestMachine? _machine;

    public NetOnLinuxTests()
    {
        GuestParts.Need();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-netdev", "hubport,id=own,hubid=0", "-device", $"igb,netdev=own,mac={PortMac},addr=0x08",
            "-netdev", "hubport,id=peer,hubid=0", "-device", $"virtio-net-pci,netdev=peer,mac={PeerMac}",
            .. GuestMachine.HostFiles]);
        Agent.Do($"echo {Port} > /sys/bus/pci/devices/{Port}/driver/unbind");
        Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{Port}/driver_override");
        Agent.Do($"echo {Port} > /sys/bus/pci/drivers_probe");
        Agent.Do($"card=$(basename $(dirname $(grep -l {PeerMac} /sys/class/net/*/address))) && ip addr add 192.0.2.1/24 dev $card && ip link set $card up");
    }

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void Linux_pings_it_it_pings_Linux_and_tcpdump_reads_along()
    {
        Start("echo --address 192.0.2.7/24", "echo");
        Agent.WaitFor("grep -q 'Ctrl-C ends it' /run/echo");
        Assert.Contains("20 packets received, 0% packet loss", Agent.Do("ping -c 20 -i 0.05 -s 1472 192.0.2.7"));
        Assert.Equal("sent to port 7", Agent.Do(
            "chroot /host bash -c \"exec 3<>/dev/udp/192.0.2.7/7; echo -n 'sent to port 7' >&3; timeout 10 head -c 14 <&3\"").Trim());
        Agent.Do("kill $(pidof dotnet)");
        Agent.WaitFor("! pidof dotnet");
        string sums = Agent.Do("cat /run/echo");
        Assert.Matches("answered, ICMP echo +20\\b", sums);
        Assert.Matches("answered, UDP echo +1\\b", sums);
        Assert.DoesNotContain("wrong checksum", sums);

        string ping = Agent.Do(Vfio("ping 192.0.2.1 --address 192.0.2.7/24 --count 20 --interval 0.01"));
        Assert.Contains($"192.0.2.1 is at {PeerMac}", ping);
        Assert.Contains("20 packets transmitted, 20 received, 0% packet loss", ping);

        // Nobody is at that address: Linux asks for it by ARP, to all.
        Start("capture - --count 2 | chroot /host tcpdump -e -n -r -", "capture");
        Agent.WaitFor("ping -c 1 -W 1 192.0.2.9; grep -q 'frames.*captured' /run/capture");
        string seen = Agent.Do("cat /run/capture");
        Assert.Contains($"{PeerMac} > ff:ff:ff:ff:ff:ff", seen);
        Assert.Contains("Request who-has 192.0.2.9 tell 192.0.2.1", seen);
        Assert.Equal(0, _machine!.PowerOff());
    }

    public void Dispose() => _machine?.Dispose();

    private static string Vfio(string words) => VfioInGuest.Command($"net {Port} {words}");

    private void Start(string words, string name) => Agent.Do($"({Vfio(words)}) > /run/{name} 2>&1 &");
}
