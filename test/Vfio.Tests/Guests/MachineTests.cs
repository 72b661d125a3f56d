namespace Vfio.Tests.Guests;

/// <summary>What happens to a machine as a whole: slots that are reset and emptied, and the machine's own reset.</summary>
[Collection(nameof(GuestCollection))]
public sealed class MachineTests(GuestFixture guest)
{
    [Fact]
    public void A_reset_of_the_slot_leaves_a_device_that_works()
    {
        guest.Need();
        using FunctionInGuest edu = guest.Open(GuestFixture.InSlot);
        edu.Write(0x04, 1);
        Assert.Equal(0xfffffffeul, edu.Read(0x04));
        edu.Reset();
        Assert.Equal(0ul, edu.Read(0x04));
        edu.AssertWorks();
    }

    [Fact]
    public void A_reset_of_the_machine_leaves_devices_that_work()
    {
        GuestAgent agent = guest.Need();
        using (FunctionInGuest before = guest.Open(guest.Edu))
            before.Write(0x04, 1);
        guest.Machine.Monitor.Execute("system_reset");
        guest.Machine.Monitor.WaitForEvent("RESET");
        agent.WaitUntilReady();
        guest.BindAll();
        using (FunctionInGuest edu = guest.Open(guest.Edu))
        {
            Assert.Equal(0ul, edu.Read(0x04));
            edu.AssertWorks();
        }

        using FunctionInGuest other = guest.Open(GuestFixture.InSlot);
        other.AssertWorks();
    }

    [Fact]
    public void A_device_can_be_hot_unplugged_and_attached_while_Linux_runs()
    {
        GuestAgent agent = guest.Need();
        for (int round = 0; round < 2; round++)
        {
            guest.Machine.Monitor.Execute("device_del", new { id = GuestFixture.SlotName });
            guest.Machine.Monitor.WaitForEvent("DEVICE_DELETED");
            agent.WaitFor($"test ! -e /sys/bus/pci/devices/{GuestFixture.InSlot}");
            guest.Machine.Monitor.Execute("device_add", guest.SlotDevice);
            agent.WaitFor($"test -e /sys/bus/pci/devices/{GuestFixture.InSlot}/resource0");
            guest.Bind(GuestFixture.InSlot);
            using FunctionInGuest edu = guest.Open(GuestFixture.InSlot);
            edu.AssertWorks();
        }
    }
}
