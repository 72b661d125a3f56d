using System.Security.Cryptography;
using Vfio.Drivers.Edu;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>The driver of the educational device, the same on every producer of devices; a class for each derives from this.</summary>
public abstract class EduDriverTests
{
    public static TheoryData<uint> Kinds => [InterruptIndex.Intx.Value, InterruptIndex.Msi.Value];

    protected abstract IVfioDevice Open();

    [Fact]
    public void The_device_identifies_itself_and_is_alive()
    {
        using EduDriver edu = new(Open());

        Assert.Equal(new EduIdentification(0x010000ed), edu.Identify());
        Assert.Equal("edu 1.0", edu.Identify().ToString());
        Assert.True(edu.CheckLiveness(0xdeadbeef));
        Assert.True(edu.CheckLiveness(0));
    }

    [Fact]
    public void The_best_interrupt_is_msi()
    {
        using EduDriver edu = new(Open());
        Assert.Equal(InterruptIndex.Msi, edu.InterruptKind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_factorial_is_computed_and_an_interrupt_reports_it(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));

        Assert.Equal(new InterruptIndex(kind), edu.InterruptKind);
        Assert.Equal(3628800u, edu.Factorial(10));
        Assert.Equal(479001600u, edu.Factorial(12));
        Assert.Equal(1u, edu.Factorial(0));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Without_a_timeout_each_operation_waits_for_its_interrupt(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        foreach (TimeSpan timeout in new[] { Timeout.InfiniteTimeSpan, TimeSpan.MaxValue })
        {
            edu.Timeout = timeout;
            for (int i = 0; i < 10; i++)
            {
                Assert.Equal(3628800u, edu.Factorial(10));
                Assert.Equal(6u, edu.FactorialByPolling(3));
                Assert.Equal(4u, edu.RaiseInterrupt(4));
            }

            edu.CopyToDevice(memory, 0, 4096);
            edu.CopyFromDevice(memory, 0, 4096);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_factorial_is_computed_and_the_status_reports_it(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));

        Assert.Equal(3628800u, edu.FactorialByPolling(10));
        Assert.Equal(1932053504u, edu.FactorialByPolling(13)); // 6227020800 modulo 2^32
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_raised_interrupt_comes_with_its_causes(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));

        for (uint cause = 1; cause != 0; cause <<= 1)
            Assert.Equal(cause, edu.RaiseInterrupt(cause));
        Assert.Equal(0xffff_ffffu, edu.RaiseInterrupt(0xffff_ffff));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Bytes_go_through_the_device_and_come_back(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));
        using DmaBuffer source = edu.Device.AllocateDma(1 << 20);
        using DmaBuffer destination = edu.Device.AllocateDma(1 << 20);
        byte[] sent = RandomNumberGenerator.GetBytes((int)source.Length);
        source.Write(0, sent);

        edu.Copy(source, destination);

        byte[] received = new byte[sent.Length];
        destination.Read(0, received);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void Part_of_the_devices_buffer_can_be_moved()
    {
        using EduDriver edu = new(Open());
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        memory.Write32(0x100, 0x11223344);
        memory.Write32(0x104, 0x55667788);

        edu.CopyToDevice(memory, offset: 0x100, count: 8, at: 0xff8);
        edu.CopyFromDevice(memory, offset: 0x201, count: 3, at: 0xff9);

        Assert.Equal(0x11223300u, memory.Read32(0x200));
        Assert.Equal(0u, memory.Read32(0x204));
    }

    [Fact]
    public void A_range_that_cannot_be_moved_is_an_argument_error()
    {
        using EduDriver edu = new(Open());
        using DmaBuffer memory = edu.Device.AllocateDma(8192);

        Assert.Throws<ArgumentOutOfRangeException>(() => edu.CopyToDevice(memory, 0, 4097));
        Assert.Throws<ArgumentOutOfRangeException>(() => edu.CopyToDevice(memory, 0, 4096, at: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => edu.CopyToDevice(memory, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => edu.CopyToDevice(memory, memory.Length - 3, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => edu.CopyFromDevice(memory, -1, 4));
    }

    [Fact]
    public void The_device_can_read_mapped_memory_and_no_other()
    {
        using EduDriver edu = new(Open());
        DmaBuffer memory = edu.Device.AllocateDma(4096);
        byte[] secret = RandomNumberGenerator.GetBytes(64);
        byte[] seen = new byte[64];
        memory.Write(0, secret);

        Assert.True(edu.TryReadMemory(memory.Start, seen));
        Assert.Equal(secret, seen);

        Iova start = memory.Start;
        memory.Dispose();
        Assert.False(edu.TryReadMemory(start, seen));
        Assert.False(edu.TryReadMemory(new Iova(0x0800_0000), seen));
        Assert.Equal(3628800u, edu.Factorial(10));
    }

    [Fact]
    public void Memory_that_the_device_may_not_read_or_write_makes_a_copy_fail()
    {
        using EduDriver edu = new(Open());
        using DmaBuffer open = edu.Device.AllocateDma(4096);
        using DmaBuffer unreadable = edu.Device.AllocateDma(4096, DmaAccess.Write);
        using DmaBuffer unwritable = edu.Device.AllocateDma(4096, DmaAccess.Read);
        unreadable.Write(0, RandomNumberGenerator.GetBytes(4096));
        open.Write(0, RandomNumberGenerator.GetBytes(4096));

        Assert.Equal(Errno.BadAddress, Assert.Throws<VfioException>(() => edu.Copy(unreadable, open)).Errno);
        Assert.Equal(Errno.BadAddress, Assert.Throws<VfioException>(() => edu.Copy(open, unwritable)).Errno);
    }

    [Fact]
    public void Without_bus_master_no_byte_moves()
    {
        // By the pin, because messages need the bus too.
        using EduDriver edu = new(Open(), InterruptIndex.Intx);
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        memory.Write(0, RandomNumberGenerator.GetBytes(64));
        edu.Device.DisableBusMaster();

        byte[] seen = new byte[64];
        Assert.False(edu.TryReadMemory(memory.Start, seen));
        edu.Device.EnableBusMaster();
        Assert.True(edu.TryReadMemory(memory.Start, seen));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_reset_in_the_middle_leaves_a_device_that_works(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));
        Bar registers = edu.Device.OpenBar(0);
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        memory.Write(0, RandomNumberGenerator.GetBytes(4096));
        registers.Write64(0x80, memory.Start.Value);
        registers.Write64(0x88, 0x40000);
        registers.Write64(0x90, 4096);
        registers.Write32(0x20, 0x80);
        registers.Write32(0x98, 0x5);
        registers.Write32(0x08, 7);

        edu.Reset();

        Assert.Equal(0u, registers.Read32(0x20) & 1);
        Assert.Equal(0u, registers.Read32(0x24));
        Assert.Equal(0u, registers.Read32(0x98) & 1);
        Assert.Equal(5040u, edu.Factorial(7));
        using DmaBuffer copy = edu.Device.AllocateDma(4096);
        edu.Copy(memory, copy);
    }

    [Fact]
    public void The_device_serves_its_next_driver()
    {
        for (int i = 0; i < 3; i++)
        {
            using EduDriver edu = new(Open());
            Assert.Equal(24u, edu.Factorial(4));
        }
    }
}
