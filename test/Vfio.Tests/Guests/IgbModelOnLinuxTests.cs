using System.Security.Cryptography;
using System.Text.Json;
using Vfio.Drivers.Igb;
using Vfio.Guard;
using Vfio.Net;
using IgbFunction = Vfio.Devices.Igb.IgbFunction;

namespace Vfio.Tests.Guests;

/// <summary>Linux's igb in QEMU drives models of the 82576 that this process serves: two in one guest at one hub, and this project's own
/// driver on a third at the same hub.</summary>
public sealed class IgbModelOnLinuxTests : IDisposable
{
    private const string FirstMac = "02:00:00:00:00:01", SecondMac = "02:00:00:00:00:02", OwnMac = "02:00:00:00:00:03";
    private const int FileBytes = 4 << 20;
    private readonly string _hub = $"hub:{Guid.NewGuid():n}";
    private readonly List<IDisposable> _parts = [];
    private GuestMachine? _machine;

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void Linux_pings_and_sends_a_file_from_one_model_to_another_and_pings_our_driver_on_a_third()
    {
        GuestParts.Need();
        Boot();
        Assert.Equal(FirstMac, Agent.Do($"cat /sys/bus/pci/devices/0000:01:00.0/net/*/address"));
        string first = Agent.Do("ls /sys/bus/pci/devices/0000:01:00.0/net");
        string second = Agent.Do("ls /sys/bus/pci/devices/0000:02:00.0/net");

        // The second port is in a network of its own, or Linux would not send by wire.
        Agent.Do("unshare -n sleep 100000 & echo $! > /run/other");
        Agent.WaitFor("test $(readlink /proc/$(cat /run/other)/ns/net) != $(readlink /proc/self/ns/net)");
        Agent.Do($"ip link set {second} netns $(cat /run/other)");
        Agent.Do($"ip addr add 192.0.2.1/24 dev {first}; ip link set {first} up");
        Agent.Do($"{Other} sh -c 'ip addr add 192.0.2.2/24 dev {second}; ip link set {second} up'");
        Agent.WaitFor($"test $(cat /sys/class/net/{first}/carrier) = 1");
        Assert.Equal("1000", Agent.Do($"cat /sys/class/net/{first}/speed"));

        Agent.WaitFor("ping -c 1 -W 1 192.0.2.2");
        Assert.Contains("20 packets received, 0% packet loss", Agent.Do("ping -c 20 -i 0.05 -W 300 -s 1472 192.0.2.2"));
        AssertSendsFile();
        AssertPingsOwnDriver();
        AssertCountersAgree(first);
        Assert.Equal("", Agent.Do("dmesg | grep -i -E 'unit hang|call trace|hw csum failure|igb.*(error|fail)' || true"));
        Assert.Equal(0, _machine!.PowerOff());
    }

    [Fact]
    public void The_cable_leads_to_QEMUs_own_network_by_stream_and_by_datagrams()
    {
        GuestParts.Need();
        string folder = Directory.CreateTempSubdirectory("vfio-igb-").FullName;
        try
        {
            string stream = Path.Combine(folder, "stream"), own = Path.Combine(folder, "own"), peer = Path.Combine(folder, "peer");
            using GuardedFunction first = new(IgbFunction.Create($"listen:{stream}", OwnMac));
            using GuardedFunction second = new(IgbFunction.Create($"dgram:{own},{peer}", OwnMac));
            _machine = new GuestMachine(
                "",
                ["-machine", "q35",
                "-netdev", $"stream,id=n0,server=off,addr.type=unix,addr.path={stream}",
                "-device", $"virtio-net-pci,netdev=n0,mac={FirstMac}",
                "-netdev", $"dgram,id=n1,local.type=unix,local.path={peer},remote.type=unix,remote.path={own}",
                "-device", $"virtio-net-pci,netdev=n1,mac={SecondMac}"]);
            AssertPings(first, FirstMac, "192.0.2");
            AssertPings(second, SecondMac, "198.51.100");
            Assert.Equal(0, _machine.PowerOff());
        }
        finally
        {
            _machine?.Dispose();
            _machine = null;
            Directory.Delete(folder, recursive: true);
        }
    }

    public void Dispose()
    {
        _machine?.Dispose();
        _parts.ForEach(part => part.Dispose());
    }

    private const string Other = "nsenter -t $(cat /run/other) -n";

    private void Boot()
    {
        AssignedDevice first = Keep(AssignedDevice.Of(IgbFunction.Create(_hub, FirstMac)));
        AssignedDevice second = Keep(AssignedDevice.Of(IgbFunction.Create(_hub, SecondMac)));
        _machine = new GuestMachine(
            "-object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem",
            ["-machine", "q35", "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2",
            "-device", Device(first, "slot1"), "-device", Device(second, "slot2")]);
    }

    private static string Device(AssignedDevice device, string bus) => JsonSerializer.Serialize(
        new { driver = "vfio-user-pci", bus, socket = new { path = device.SocketPath, type = "unix" } });

    private void AssertSendsFile()
    {
        Agent.Do($"head -c {FileBytes} /dev/urandom > /run/sent");

        // Each end hangs up at the end of its own input: the receiver's never ends.
        Agent.Do("mkfifo /run/idle; sleep 100000 > /run/idle &");
        Agent.Do($"({Other} nc -l -p 5000 < /run/idle > /run/received; touch /run/arrived) &");
        Agent.WaitFor($"{Other} netstat -ltn | grep -q :5000");
        Agent.Do("nc 192.0.2.2 5000 < /run/sent");
        Agent.WaitFor("test -e /run/arrived");
        Assert.Equal($"{FileBytes}", Agent.Do("stat -c %s /run/received"));
        string[] sums = Agent.Do("sha256sum /run/sent /run/received").Split('\n');
        Assert.Equal(sums[0].Split(' ')[0], sums[1].Split(' ')[0]);
        Assert.Equal(2 * SHA256.HashSizeInBytes, sums[0].Split(' ')[0].Length);
    }

    private void AssertPingsOwnDriver()
    {
        using GuardedFunction guard = new(IgbFunction.Create(_hub, OwnMac));
        AssertPings(guard, network: "192.0.2");
    }

    // This project's own driver is at .3 of the network, Linux at .1.
    private void AssertPings(GuardedFunction guard, string? mac = null, string network = "")
    {
        if (mac is not null)
        {
            string name = Agent.Do($"for f in /sys/class/net/*; do if grep -q {mac} $f/address; then basename $f; fi; done");
            Agent.Do($"ip addr add {network}.1/24 dev {name}; ip link set {name} up");
        }

        Assert.True(Ipv4Interface.TryParse($"{network}.3/24", out Ipv4Interface address));
        using IgbPort port = new(guard.Open());
        EchoStation station = new(port, new Responder(port.Address, address));
        using CancellationTokenSource stop = new();
        Task answering = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                port.Wait(TimeSpan.FromMilliseconds(10));
                station.Poll();
            }
        });
        Agent.WaitFor($"ping -c 1 -W 1 {network}.3");
        Assert.Contains("20 packets received, 0% packet loss", Agent.Do($"ping -c 20 -i 0.05 -W 300 -s 1000 {network}.3"));
        stop.Cancel();
        answering.Wait();
        Assert.True(station.Sent >= 20);
    }

    // What the driver reads from the device's registers, and what the network stack counted itself.
    private void AssertCountersAgree(string name)
    {
        string statistics = $"/sys/class/net/{name}/statistics";
        Assert.Equal("0", Agent.Do($"cat {statistics}/rx_errors"));
        Assert.Equal("0", Agent.Do($"cat {statistics}/tx_errors"));
        Assert.True(Agent.Number($"cat {statistics}/tx_bytes") > FileBytes);
        Assert.True(Agent.Number($"cat {statistics}/rx_packets") > 20);
    }

    private T Keep<T>(T part)
        where T : IDisposable
    {
        _parts.Add(part);
        return part;
    }
}
