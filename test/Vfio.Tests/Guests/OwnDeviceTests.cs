namespace Vfio.Tests.Guests;

/// <summary>Linux in QEMU drives devices that an author's own program assigns.</summary>
[Collection(nameof(GuestCollection))]
public sealed class OwnDeviceTests(GuestFixture guest)
{
    [Fact]
    public void The_device_of_the_readme_counts_and_interrupts()
    {
        guest.Need();
        using FunctionInGuest counter = guest.Open(guest.Counter);
        ulong before = counter.Read(0x00);
        counter.Arm(FunctionInGuest.Msi, 1);
        counter.Write(0x04, 5);
        Assert.Equal(1ul, counter.Wait());
        counter.Write(0x04, 6);
        Assert.Equal(1ul, counter.Wait());
        Assert.Equal(before + 11, counter.Read(0x00));
        counter.Arm(FunctionInGuest.Msi, 0);
    }

    [Fact]
    public void A_function_level_reset_that_the_guest_asks_for_leaves_a_device_that_works()
    {
        guest.Need();
        using FunctionInGuest express = guest.Open(guest.Express);
        express.Write(0x00, 0x12345678);
        Assert.Equal(0x12345678ul, express.Read(0x00));
        int resets = guest.ExpressHere.Resets;
        express.Reset();
        Assert.Equal(resets + 1, guest.ExpressHere.Resets);
        Assert.Equal(0x55555555ul, express.Read(0x00));
        express.Arm(FunctionInGuest.Msi, 1);
        express.Write(0x00, 1);
        Assert.Equal(1ul, express.Wait());
        express.Arm(FunctionInGuest.Msi, 0);
    }
}
