using System.Buffers.Binary;
using Vfio.Kernel;
using Vfio.Tests.Net;

namespace Vfio.Tests.Guests;

/// <summary>QEMU's 82576 and a virtual function of it, assigned by Linux to an ordinary user, whose program answers a peer outside of the
/// guest: this process, at the other end of the cable. And both are taken away while they are driven.</summary>
[Collection(nameof(GuestCollection))]
public sealed class IgbOnLinuxTests : IDisposable
{
    private const string Physical = "0000:01:00.0", Virtual = "0000:01:10.0";
    private const string Guard = "?guard=1";
    private const int Burst = 200;
    private readonly GuestWire _wire = new();
    private GuestMachine? _machine;

    private GuestAgent Agent => _machine!.Agent;

    [Fact]
    public void A_peer_outside_is_answered_by_a_port_through_both_interfaces_until_it_is_taken_away()
    {
        Boot($"{Frames.OwnMac}");
        Assert.Contains("is assigned to nobody", Vfio($"bind {Physical} --user nobody"));
        foreach ((VfioInterface vfioInterface, string words) in new[] { (VfioInterface.Group, ""), (VfioInterface.Cdev, "--poll") })
        {
            Agent.Open(vfioInterface);
            Start(vfioInterface == VfioInterface.Cdev ? $"{Physical}{Guard}" : Physical, words, vfioInterface);
            AssertAnswers();
            Stop();
        }

        AssertCaptures(VfioInterface.Group, "", [Frames.EchoRequest]);
        AssertCaptures(VfioInterface.Cdev, "--promiscuous", [ToAnother, Frames.EchoRequest]);

        // Linux has its card back as it was.
        Assert.Contains("igb", Vfio($"unbind {Physical}"));
        Assert.Equal($"{Frames.OwnMac}", Agent.Do($"cat /sys/bus/pci/devices/{Physical}/net/*/address"));

        AssertLetsGoInTraffic();
        Assert.Equal(0, _machine!.PowerOff());
    }

    [Fact]
    public void A_peer_outside_is_answered_by_a_virtual_function_of_a_port_that_Linux_drives()
    {
        Boot("02:00:00:00:00:01");
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) up");
        Agent.Do($"echo 0 > /sys/bus/pci/devices/{Physical}/sriov_drivers_autoprobe");
        Assert.Equal(Virtual, Vfio($"vfs {Physical} 1"));
        Assert.Contains("is assigned to nobody", Vfio($"bind {Virtual} --user nobody"));

        // The address is one more thing that it asks the physical function's driver for.
        Start($"{Virtual}{Guard}", $"--mac {Frames.OwnMac}", VfioInterface.Group);
        AssertAnswers();
        Stop();

        // Without its physical function it says what is missing.
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) down");
        (int status, string output) = Agent.Ask(VfioInGuest.Command($"net {Virtual} echo --address 192.0.2.7/24", VfioInGuest.Nobody));
        Assert.True(status == 1, output);
        Assert.Contains("the physical function does not answer", output);

        // The other interface; and its owner takes it away.
        Agent.Do($"ip link set $(ls /sys/bus/pci/devices/{Physical}/net) up");
        Agent.Open(VfioInterface.Cdev);
        Start($"{Virtual}{Guard}", $"--mac {Frames.OwnMac}", VfioInterface.Cdev);
        AssertAnswers();
        using (WireTraffic traffic = new(_wire, Frames.EchoRequest, Frames.PeerMac))
        {
            traffic.AssertFlows();
            Agent.Do($"echo 0 > /sys/bus/pci/devices/{Physical}/sriov_numvfs");
        }

        AssertEnded(Virtual);
        Assert.Equal(0, _machine!.PowerOff());
    }

    public void Dispose()
    {
        _machine?.Dispose();
        _wire.Dispose();
    }

    /// <summary>A frame that is not for the station.</summary>
    private static byte[] ToAnother => Frames.EchoRequest.With(0, "02000000000a");

    private void Boot(string mac)
    {
        GuestParts.Need();
        _machine = new GuestMachine(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-device", "pcie-root-port,id=slot1,chassis=1",
            "-netdev", _wire.Netdev, "-device", $"igb,id=card,bus=slot1,netdev=wire,mac={mac}",
            .. SlotInGuest.OwnHotplug, .. GuestMachine.HostFiles]);
    }

    private string Vfio(string words) => Agent.Do(VfioInGuest.Command(words));

    /// <summary>Starts to answer, and looks by which interface.</summary>
    private void Start(string function, string words, VfioInterface vfioInterface)
    {
        string echo = VfioInGuest.Command($"net {function} echo --address {Frames.OwnAddress} {words}", VfioInGuest.Nobody);
        Run(echo);
        Agent.WaitFor("grep -q 'Ctrl-C ends it' /run/output || test -e /run/exit");
        string open = Agent.Do($"ls -l /proc/$(pidof {VfioInGuest.ProcessName})/fd | grep -o '/dev/.*' | sort -u");
        Assert.Equal(vfioInterface == VfioInterface.Cdev, open.Contains("/dev/vfio/devices/vfio", StringComparison.Ordinal));
        Assert.Equal(vfioInterface == VfioInterface.Group, open.Contains("/dev/vfio/vfio", StringComparison.Ordinal));
    }

    /// <summary>Runs a program beside, with its output and its exit code in files of the guest.</summary>
    private void Run(string program) => Agent.Do($"rm -f /run/trace /run/exit; ({program}; echo $? > /run/exit) > /run/output 2>&1 &");

    private void Stop()
    {
        Agent.Do($"kill $(pidof {VfioInGuest.ProcessName})");
        Agent.WaitFor("test -e /run/exit");
        Assert.Equal("0", Agent.Do("cat /run/exit"));
        Assert.Matches($"answered, ICMP echo +{Burst + 2}\\b", Agent.Do("cat /run/output"));
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

    /// <summary>A capture of a frame to another station and one to the own has what is expected, and tcpdump reads it.</summary>
    private void AssertCaptures(VfioInterface vfioInterface, string words, byte[][] expected)
    {
        Agent.Open(vfioInterface);
        string capture = VfioInGuest.Command($"net {Physical}{Guard} capture /run/trace --count {expected.Length} {words}", VfioInGuest.Nobody);
        Run(capture);

        // The port is in the file before the first frame.
        Agent.WaitFor("test -s /run/trace || test -e /run/exit");
        _wire.Send(ToAnother);
        _wire.Send(Frames.EchoRequest);
        Agent.WaitFor("test -e /run/exit");
        Assert.Contains($"{expected.Length} frames of {60 * expected.Length} bytes captured", Agent.Do("cat /run/output"));
        byte[] file = Convert.FromBase64String(Agent.Do("chroot /host base64 -w 0 /run/trace"));
        Assert.Equal(expected, PcapngReader.Read(file).Where(block => block.Type == 6).Select(block => block.Packet));
        if (Tcpdump.IsInstalled)
            Assert.Equal(expected.Length, Tcpdump.Read(file).Split("192.0.2.1 > 192.0.2.7: ICMP echo request").Length - 1);
    }

    /// <summary>The slot's button is pressed while the peer asks: the kernel asks for the function, and switches the slot off when it has
    /// it. Nothing is left.</summary>
    private void AssertLetsGoInTraffic()
    {
        Vfio($"bind {Physical} --user nobody");
        Agent.Open(VfioInterface.Group);
        Start(Physical, "", VfioInterface.Group);
        using (WireTraffic traffic = new(_wire, Frames.EchoRequest, Frames.PeerMac))
        {
            traffic.AssertFlows();
            _machine!.Monitor.Execute("device_del", new { id = "card" });
            _machine.Monitor.WaitForEvent("DEVICE_DELETED");
        }

        AssertEnded(Physical);
        Assert.Equal("/dev/vfio/vfio", Agent.Do("find /dev/vfio ! -type d"));
    }

    /// <summary>The program gave its sums and one line of why, ended with exit code 1, and neither it nor the function is there any more.
    /// </summary>
    private void AssertEnded(string function)
    {
        Agent.WaitFor("test -e /run/exit");
        string output = Agent.Do("cat /run/output");
        string[] said = [.. output.Split('\n').Where(line => line.StartsWith("vfio:", StringComparison.Ordinal))];
        Assert.Equal([$"vfio: {function} release requested"], said);
        Assert.Matches("answered, ICMP echo +[0-9]+", output);
        Assert.Equal("1", Agent.Do("cat /run/exit"));
        Agent.WaitFor($"test ! -e /sys/bus/pci/devices/{function}");
        Assert.NotEqual(0, Agent.Ask($"pidof {VfioInGuest.ProcessName}").Status);
        Assert.DoesNotContain("Call Trace", Agent.Do("dmesg"));
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
