namespace Vfio.Tests.Guests;

/// <summary>Linux in QEMU drives the model of edu.</summary>
[Collection(nameof(GuestCollection))]
public sealed class EduTests(GuestFixture guest)
{
    [Fact]
    public void Accesses_of_every_width_arrive_as_they_are()
    {
        guest.Need();
        using FunctionInGuest edu = guest.Open(guest.Edu);
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
        using FunctionInGuest edu = guest.Open(guest.Edu);
        Assert.Equal(479001600ul, edu.Factorial(12));
        Assert.Equal(1932053504ul, edu.Factorial(13));
    }

    [Fact]
    public void DMA_reaches_guest_memory_both_ways()
    {
        guest.Need();
        using FunctionInGuest edu = guest.Open(guest.Edu);
        edu.AssertMovesBytesBothWays();
    }

    [Fact]
    public void MSI_arrives()
    {
        guest.Need();
        using FunctionInGuest edu = guest.Open(guest.Edu);
        edu.AssertInterrupts(FunctionInGuest.Msi);
    }

    [Fact]
    public void INTx_arrives_and_is_raised_again_after_an_unmask()
    {
        guest.Need();
        using FunctionInGuest edu = guest.Open(guest.Edu);
        edu.AssertInterrupts(FunctionInGuest.Intx);
    }
}
