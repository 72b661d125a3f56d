using System.Buffers.Binary;
using Vfio.Tests.Packets;

namespace Vfio.Tests.Guests;

/// <summary>QEMU's 82576 and a virtual function of it, lent by Linux to an ordinary user, whose program answers a peer outside of the
/// guest: this process, at the other end of the cable.</summary>
[Collection(nameof(GuestCollection))]
public sealed class IgbOnLinuxTests : IDisposable
{
    private const string Physical = "0000:01:00.0", Virtual = "0000:01:10.0";
    private const string Nobody = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups";
    private const int Burst = 200;
    private readonly GuestWire _wire = new();
    private GuestMachine? _machine;

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void A_peer_outside_is_answered_by_a_port_through_both_doors()
    {
        Boot($"{Frames.OwnMac}");
        Assert.Contains("is lent to nobody", Vfio($"bind {Physical} --user nobody"));
        Start(Physical, "");
        AssertAnswers();
        Stop();

        // The other door needs /dev/iommu too, which belongs to root until its udev rule says more.
        Agent.Do("chmod 666 /dev/iommu");
        Start(Physical, "--poll");
        AssertAnswers();
        Stop();

        // Linux has its card back as it was.
        Assert.Contains("igb", Vfio($"unbind {Physical}"));
        Assert.Equal($"{Frames.OwnMac}", Agent.Do($"cat /sys/bus/pci/devices/{Physical}/net/*/address"));
        Assert.Equal(0, _machine!.PowerOff());
    }

    [Fact]
    public void A_peer_outside_is_answered_by_a_virtual_function_of_a_port_that_Linux_drives()
    {
        Boot("02:00:00:00:00:01");
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) up");
        Agent.Do($"echo 0 > /sys/bus/pci/devices/{Physical}/sriov_drivers_autoprobe");
        Assert.Equal(Virtual, Vfio($"vfs {Physical} 1"));
        Assert.Contains("is lent to nobody", Vfio($"bind {Virtual} --user nobody"));

        // The address is one more thing that it asks the physical function's driver for.
        Start(Virtual, $"--mac {Frames.OwnMac}");
        AssertAnswers();
        Stop();

        // Without its physical function it says what is missing.
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) down");
        (int status, string output) = Agent.Ask(VfioInGuest.Command($"net {Virtual} echo --address 192.0.2.7/24", Nobody));
        Assert.True(status == 1, output);
        Assert.Contains("the physical function does not answer", output);
        Assert.Equal(0, _machine!.PowerOff());
    }

    public void Dispose()
    {
        _machine?.Dispose();
        _wire.Dispose();
    }

    private void Boot(string mac)
    {
        GuestParts.Need();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-netdev", _wire.Netdev, "-device", "pcie-root-port,id=slot1,chassis=1", "-device", $"igb,bus=slot1,netdev=wire,mac={mac}",
            .. GuestMachine.HostFiles]);
    }

    private string Vfio(string words) => Agent.Do(VfioInGuest.Command(words));

    private void Start(string function, string words)
    {
        Agent.Do($"({VfioInGuest.Command($"net {function} echo --address {Frames.OwnAddress} {words}", Nobody)}) > /run/echo 2>&1 &");
        Agent.WaitFor("grep -q 'Ctrl-C ends it' /run/echo");
    }

    private void Stop()
    {
        Agent.Do("kill $(pidof dotnet)");
        Agent.WaitFor("! pidof dotnet");
        Assert.Matches($"answered, ICMP echo +{Burst + 2}\\b", Agent.Do("cat /run/echo"));
    }

    /// <summary>ARP, an echo, the longest frame, and many at once.</summary>
    private void AssertAnswers()
    {
        Assert.Equal(Frames.ArpReply, Ask(Frames.ArpRequest));
        Assert.Equal(Frames.EchoReply, Ask(Frames.EchoRequest));

        byte[] longest = Echo(1, 1472);
        Assert.Equal(longest.AsSpan(Frames.Message + 4), Ask(longest).AsSpan(Frames.Message + 4));

        for (ushort i = 0; i < Burst; i++)
            _wire.Send(Echo(i, 60 + i));
        for (ushort i = 0; i < Burst; i++)
            Assert.Equal(Echo(i, 60 + i).AsSpan(Frames.Message + 4), _wire.Receive(Frames.PeerMac).AsSpan(Frames.Message + 4));
    }

    private byte[] Ask(byte[] frame)
    {
        _wire.Send(frame);
        return _wire.Receive(Frames.PeerMac);
    }

    private static byte[] Echo(ushort sequence, int bytes)
    {
        byte[] frame = Frames.EchoRequest;
        Array.Resize(ref frame, Frames.Message + 8 + bytes);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Frames.Ip + 2), (ushort)(28 + bytes));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Frames.Message + 6), sequence);
        new Random(sequence).NextBytes(frame.AsSpan(Frames.Message + 8));
        return frame.Summed();
    }
}
