namespace Vfio.Tests.Guests;

/// <summary>Linux in QEMU drives the benchmark device, by the numbers of its interface VUB1.</summary>
[Collection(nameof(GuestCollection))]
public sealed class BenchTests(GuestFixture guest)
{
    private const uint Magic = 0x00, Scratch = 0x08, Signal = 0x10, SignalStatus = 0x14, Address = 0x18, Length = 0x20, Go = 0x28,
        Status = 0x30, Segments = 0x34, Plain = 0x100, VectorTable = 0x800, Pending = 0xc00;

    private const int Vectors = 32;

    [Fact]
    public void Registers_are_read_and_written_at_every_width()
    {
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        Assert.Equal(0x31425556ul, bench.Read(Magic));
        AssertKeepsEveryWidth(bench, bar: 0, Plain);
        AssertKeepsEveryWidth(bench, bar: 0, Scratch);
    }

    [Fact]
    public void Mapped_memory_is_read_and_written_at_every_width()
    {
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        AssertKeepsEveryWidth(bench, bar: 2, 0);
        AssertKeepsEveryWidth(bench, bar: 2, 0xffff8);
    }

    [Fact]
    public void DMA_reaches_guest_memory_both_ways()
    {
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        ulong page = bench.MapPage();
        byte[] bytes = new byte[512];
        Random.Shared.NextBytes(bytes);
        bench.Put(0x100, bytes);
        Run(bench, operation: 1, page + 0x100, bytes.Length);

        // The device's side of every transfer is BAR2, which the guest has mapped: nothing of this goes through the server.
        Assert.Equal(BitConverter.ToUInt64(bytes), bench.Read(0, 8, bar: 2));
        Assert.Equal(BitConverter.ToUInt64(bytes, bytes.Length - 8), bench.Read((uint)bytes.Length - 8, 8, bar: 2));
        bench.Write(0, 0x1122334455667788, 8, bar: 2);
        Run(bench, operation: 2, page + 0x800, bytes.Length);
        Assert.Equal([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, .. bytes[8..], 0, 0], bench.Get(0x800, bytes.Length + 2));
    }

    [Fact]
    public void Every_MSI_X_vector_arrives()
    {
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        bench.Arm(FunctionInGuest.Msix, Vectors);
        foreach (int vector in Enumerable.Range(0, Vectors).Reverse())
        {
            Fire(bench, vector);
            Assert.Equal(1ul, bench.Wait(vector));
        }

        Assert.DoesNotContain(Enumerable.Range(0, Vectors), bench.HasCome);
        bench.Arm(FunctionInGuest.Msix, 0);
    }

    [Fact]
    public void A_masked_vector_arrives_once_after_the_unmask()
    {
        const int Masked = 3, Other = 4;
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        bench.Arm(FunctionInGuest.Msix, 8);
        bench.Write(VectorTable + (16 * Masked) + 12, 1);
        Fire(bench, Masked);
        Fire(bench, Masked);
        Fire(bench, Other);
        Assert.Equal(1ul, bench.Wait(Other));
        Assert.False(bench.HasCome(Masked));
        bench.Write(VectorTable + (16 * Masked) + 12, 0);
        Assert.Equal(1ul, bench.Wait(Masked));
        bench.Arm(FunctionInGuest.Msix, 0);
    }

    [Fact]
    public void Vectors_of_a_masked_function_are_pending_and_arrive_after_the_unmask()
    {
        const uint MessageControl = 0x42;
        const int Enabled = 0x801f, EnabledAndMasked = 0xc01f;
        guest.Need();
        using FunctionInGuest bench = guest.Open(guest.Bench);
        bench.Arm(FunctionInGuest.Msix, 8);
        bench.WriteConfigBeside(MessageControl, EnabledAndMasked);
        Fire(bench, 2);
        Fire(bench, 5);
        Fire(bench, 5);
        Assert.Equal(0x24ul, bench.Read(Pending, 8));
        Assert.False(bench.HasCome(2));
        Assert.False(bench.HasCome(5));
        bench.WriteConfigBeside(MessageControl, Enabled);
        Assert.Equal(1ul, bench.Wait(2));
        Assert.Equal(1ul, bench.Wait(5));
        Assert.Equal(0ul, bench.Read(Pending, 8));
        bench.Arm(FunctionInGuest.Msix, 0);
    }

    private static void Fire(FunctionInGuest bench, int vector)
    {
        bench.Write(Signal, (ulong)vector);
        Assert.Equal(0ul, bench.Read(SignalStatus));
    }

    private static void Run(FunctionInGuest bench, uint operation, ulong address, int length)
    {
        bench.Write(Address, address, 8);
        bench.Write(Length, (ulong)length, 8);
        bench.Write(Go, operation);
        Assert.Equal(0ul, bench.Read(Status));
        Assert.Equal(1ul, bench.Read(Segments));
    }

    /// <summary>Writes 8 bytes at each width and reads them at each.</summary>
    private static void AssertKeepsEveryWidth(FunctionInGuest bench, int bar, uint offset)
    {
        byte[] bytes = new byte[8];
        for (int width = 1; width <= 8; width *= 2)
        {
            Random.Shared.NextBytes(bytes);
            for (int at = 0; at < 8; at += width)
                bench.Write(offset + (uint)at, ValueAt(bytes, at, width), width, bar);
            for (int readWidth = 1; readWidth <= 8; readWidth *= 2)
            {
                for (int at = 0; at < 8; at += readWidth)
                    Assert.Equal(ValueAt(bytes, at, readWidth), bench.Read(offset + (uint)at, readWidth, bar));
            }
        }
    }

    private static ulong ValueAt(byte[] bytes, int at, int width) =>
        BitConverter.ToUInt64([.. bytes.AsSpan(at, width), .. new byte[8 - width]]);
}
