using System.Globalization;
using Vfio.User;

namespace Vfio.Tests.Guests;

/// <summary>Linux in QEMU drives the model of edu, attached by the line that the server prints.</summary>
public sealed class QemuTests(EduGuest guest) : IClassFixture<EduGuest>
{
    [Fact]
    public void Linux_sees_the_config_space_that_a_client_beside_QEMU_sees()
    {
        GuestAgent agent = guest.Need();
        byte[] seen = Convert.FromHexString(agent.Do($"od -An -v -tx1 /sys/bus/pci/devices/{guest.Function}/config | tr -d ' \\n'; echo"));
        using VfioUserClient client = guest.ConnectBeside();
        byte[] lent = new byte[(int)client.GetRegion(RegionIndex.Config).Length];
        client.ReadRegion(RegionIndex.Config, 0, lent);
        Assert.Equal(lent.Length, seen.Length);

        // What Linux sets: COMMAND, STATUS's cause, cache line and latency, BAR0, the interrupt line.
        foreach (Range written in new[] { 0x04..0x06, 0x0c..0x0e, 0x10..0x14, 0x3c..0x3d })
        {
            seen.AsSpan(written).Clear();
            lent.AsSpan(written).Clear();
        }

        Assert.Equal(Convert.ToHexString(lent), Convert.ToHexString(seen));
    }

    [Fact]
    public void Linux_sizes_the_BARs_as_they_are()
    {
        GuestAgent agent = guest.Need();
        string[] resources = agent.Do($"cat /sys/bus/pci/devices/{guest.Function}/resource").Split('\n');
        using VfioUserClient client = guest.ConnectBeside();
        for (int bar = 0; bar < 6; bar++)
        {
            ulong[] words = [.. resources[bar].Split(' ').Select(word => ulong.Parse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
            ulong length = words[1] == 0 ? 0 : words[1] - words[0] + 1;
            Assert.Equal(client.GetRegion(new RegionIndex((uint)bar)).Length, length);
        }
    }

    [Fact]
    public void Accesses_of_every_width_arrive_as_they_are()
    {
        guest.Need();
        using EduInGuest edu = guest.Open(guest.Function);
        edu.Write(0x04, 0x12345678);
        Assert.Equal(0xedcba987ul, edu.Read(0x04));

        // The device does not answer to 1 and 2 bytes.
        edu.Write(0x04, 0xff, 1);
        edu.Write(0x04, 0xffff, 2);
        Assert.Equal(0ul, edu.Read(0x04, 1));
        Assert.Equal(0ul, edu.Read(0x06, 2));
        Assert.Equal(0xedcba987ul, edu.Read(0x04));

        edu.Write(0x80, 0x1122334455667788, 8);
        Assert.Equal(0x1122334455667788ul, edu.Read(0x80, 8));
        Assert.Equal(0x55667788ul, edu.Read(0x80, 4));
    }

    [Fact]
    public void Linux_computes_factorials()
    {
        guest.Need();
        using EduInGuest edu = guest.Open(guest.Function);
        Assert.Equal(479001600ul, edu.Factorial(12));
        Assert.Equal(1932053504ul, edu.Factorial(13));
    }

    [Fact]
    public void DMA_reaches_guest_memory_both_ways()
    {
        guest.Need();
        using EduInGuest edu = guest.Open(guest.Function);
        edu.AssertMovesBytesBothWays();
    }

    [Fact]
    public void MSI_arrives()
    {
        guest.Need();
        using EduInGuest edu = guest.Open(guest.Function);
        edu.AssertInterrupts(1);
    }

    [Fact]
    public void INTx_arrives_and_is_raised_again_after_an_unmask()
    {
        guest.Need();
        using EduInGuest edu = guest.Open(guest.Function);
        edu.AssertInterrupts(0);
    }

    [Fact]
    public void A_reset_that_the_guest_asks_for_leaves_a_device_that_works()
    {
        GuestAgent agent = guest.Need();
        using EduInGuest edu = guest.Open(EduGuest.InSlot);
        edu.Write(0x04, 1);
        Assert.Equal(0xfffffffeul, edu.Read(0x04));
        agent.Do("reset");
        edu.Enable();
        Assert.Equal(0ul, edu.Read(0x04));
        edu.AssertWorks();
    }

    [Fact]
    public void A_reset_of_the_machine_leaves_devices_that_work()
    {
        GuestAgent agent = guest.Need();
        using (EduInGuest before = guest.Open(guest.Function))
            before.Write(0x04, 1);
        guest.Machine.Monitor.Execute("system_reset");
        guest.Machine.Monitor.WaitForEvent("RESET");
        agent.WaitUntilReady();
        guest.Bind();
        using (EduInGuest edu = guest.Open(guest.Function))
        {
            Assert.Equal(0ul, edu.Read(0x04));
            edu.AssertWorks();
        }

        using EduInGuest other = guest.Open(EduGuest.InSlot);
        other.AssertWorks();
    }

    [Fact]
    public void A_device_can_be_plugged_and_unplugged_while_Linux_runs()
    {
        GuestAgent agent = guest.Need();
        for (int round = 0; round < 2; round++)
        {
            guest.Machine.Monitor.Execute("device_add", new
            {
                driver = "vfio-user-pci",
                id = "plugged",
                bus = "empty",
                socket = new { path = guest.Server.SocketPath, type = "unix" },
            });
            agent.WaitFor($"test -e /sys/bus/pci/devices/{EduGuest.Plugged}/resource0");
            Assert.Contains(EduGuest.Plugged, guest.Find());
            guest.Bind(EduGuest.Plugged);
            using (EduInGuest edu = guest.Open(EduGuest.Plugged))
                edu.AssertWorks();
            guest.Machine.Monitor.Execute("device_del", new { id = "plugged" });
            guest.Machine.Monitor.WaitForEvent("DEVICE_DELETED");
            agent.WaitFor($"test ! -e /sys/bus/pci/devices/{EduGuest.Plugged}");
        }

        using EduInGuest first = guest.Open(guest.Function);
        first.AssertWorks();
    }
}
