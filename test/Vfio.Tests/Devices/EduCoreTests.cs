using Vfio.Devices.Edu;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>The registers of <c>docs/specs/edu.rst</c>, and what QEMU's device does where it is silent.</summary>
public sealed class EduCoreTests
{
    private readonly EduCore _edu = new();

    [Theory]
    [InlineData(0x00, 0x010000ed)]
    [InlineData(0x04, 0)]
    [InlineData(0x08, 0)]
    [InlineData(0x20, 0)]
    [InlineData(0x24, 0)]
    [InlineData(0x80, 0)]
    [InlineData(0x88, 0)]
    [InlineData(0x90, 0)]
    [InlineData(0x98, 0)]
    public void Registers_have_their_values_after_power_on(ulong offset, uint value)
    {
        Assert.Equal(value, Read(offset));
        _edu.Write(0x04, 4, 1);
        _edu.Write(0x08, 4, 2);
        _edu.Write(0x20, 4, 0x80);
        _edu.Write(0x60, 4, 3);
        for (ulong at = 0x80; at <= 0x98; at += 8)
            _edu.Write(at, 8, 5);
        _edu.Reset();
        Assert.Equal(value, Read(offset));
    }

    [Theory]
    [InlineData(0x00, 8, ulong.MaxValue)]
    [InlineData(0x00, 2, 0)]
    [InlineData(0x00, 1, 0)]
    [InlineData(0x80, 1, 0)]
    [InlineData(0x0c, 4, ulong.MaxValue)]
    [InlineData(0x60, 4, 0xffffffff)]
    [InlineData(0x64, 4, 0xffffffff)]
    [InlineData(0x84, 4, ulong.MaxValue)]
    [InlineData(0xa0, 8, ulong.MaxValue)]
    [InlineData(0x40000, 8, ulong.MaxValue)]
    [InlineData(0xffff8, 8, ulong.MaxValue)]
    public void Where_no_register_answers_ones_are_read_and_zeros_below_4_bytes(ulong offset, int bytes, ulong value) =>
        Assert.Equal(value, _edu.Read(offset, bytes));

    [Theory]
    [InlineData(0x04, 8)]
    [InlineData(0x04, 2)]
    [InlineData(0x80, 2)]
    [InlineData(0x84, 4)]
    [InlineData(0x00, 4)]
    [InlineData(0x24, 4)]
    public void A_write_of_a_wrong_width_or_place_changes_nothing(ulong offset, int bytes)
    {
        Assert.Equal(EduEffects.None, _edu.Write(offset, bytes, 0x5555));
        Assert.Equal([0x010000ed, 0, 0, 0, 0, 0, 0], new ulong[] { 0, 4, 8, 0x20, 0x24, 0x80, 0x88 }.Select(Read));
    }

    [Fact]
    public void Liveness_reads_the_complement()
    {
        _edu.Write(0x04, 4, 0x12345678);
        Assert.Equal(0xedcba987u, Read(0x04));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(5, 120)]
    [InlineData(12, 479001600)]
    [InlineData(13, 1932053504)] // 6227020800 modulo 2^32
    [InlineData(33, 2147483648)]
    [InlineData(34, 0)]
    [InlineData(uint.MaxValue, 0)]
    public void A_factorial_is_modulo_two_to_the_32(uint number, uint result) => Assert.Equal(result, EduCore.Factorial(number));

    [Fact]
    public void Status_says_computing_until_the_factorial_is_there()
    {
        Assert.Equal(EduEffects.ComputeFactorial, _edu.Write(0x08, 4, 5));
        Assert.Equal(1u, Read(0x20));
        Assert.Equal(5u, Read(0x08));
        Assert.Equal(5u, _edu.Operand);
        Assert.Equal(EduEffects.None, _edu.Write(0x08, 4, 6));
        Assert.Equal(5u, Read(0x08));

        Assert.Equal(EduEffects.None, _edu.FinishFactorial(120));
        Assert.Equal(0u, Read(0x20));
        Assert.Equal(120u, Read(0x08));
        Assert.Equal(0u, Read(0x24));
    }

    [Fact]
    public void The_factorial_interrupts_only_when_it_shall()
    {
        _edu.Write(0x20, 4, 0xffffffff);
        Assert.Equal(0x80u, Read(0x20));
        _edu.Write(0x08, 4, 3);
        _edu.Write(0x20, 4, 0x80);
        Assert.Equal(0x81u, Read(0x20));

        Assert.Equal(EduEffects.RaiseInterrupt, _edu.FinishFactorial(6));
        Assert.Equal(0x80u, Read(0x20));
        Assert.Equal(1u, Read(0x24));
        Assert.True(_edu.IsInterrupting);
    }

    [Fact]
    public void Raised_causes_add_up_and_go_when_acknowledged()
    {
        Assert.Equal(EduEffects.None, _edu.Write(0x60, 4, 0));
        Assert.Equal(EduEffects.RaiseInterrupt, _edu.Write(0x60, 4, 0x12));
        Assert.Equal(EduEffects.RaiseInterrupt, _edu.Write(0x60, 4, 0x04));
        Assert.Equal(EduEffects.RaiseInterrupt, _edu.Write(0x60, 4, 0));
        Assert.Equal(0x16u, Read(0x24));
        Assert.Equal(EduEffects.None, _edu.Write(0x64, 4, 0x12));
        Assert.Equal(0x04u, Read(0x24));
        Assert.Equal(EduEffects.EndInterrupt, _edu.Write(0x64, 4, 0xffffffff));
        Assert.Equal(0u, Read(0x24));
    }

    [Fact]
    public void Dma_registers_take_4_and_8_bytes_and_4_set_the_whole()
    {
        _edu.Write(0x80, 8, 0x1122334455667788);
        Assert.Equal(0x1122334455667788ul, _edu.Read(0x80, 8));
        Assert.Equal(0x55667788u, Read(0x80));
        _edu.Write(0x80, 4, 0x99);
        Assert.Equal(0x99ul, _edu.Read(0x80, 8));
    }

    [Fact]
    public void The_example_of_the_specification_moves_100_bytes_there_and_back()
    {
        byte[] bytes = [.. Enumerable.Range(1, 100).Select(i => (byte)i)];
        EduTransfer there = Start(source: 0x1000, destination: 0x40000, count: 100, command: 1);
        Assert.Equal(new EduTransfer(new Iova(0x1000), 0, 100, ToMemory: false), there);
        Assert.Equal(1u, Read(0x98));
        Assert.Equal(EduEffects.None, _edu.FinishTransfer(there, bytes));
        Assert.Equal(0u, Read(0x98));

        EduTransfer back = Start(source: 0x40000, destination: 0x1064, count: 100, command: 3);
        Assert.Equal(new EduTransfer(new Iova(0x1064), 0, 100, ToMemory: true), back);
        byte[] moved = new byte[100];
        _edu.ReadBuffer(back, moved);
        Assert.Equal(bytes, moved);
        Assert.Equal(EduEffects.None, _edu.FinishTransfer(back, []));
        Assert.Equal(2u, Read(0x98));
    }

    [Fact]
    public void A_transfer_interrupts_with_0x100_when_it_shall()
    {
        EduTransfer transfer = Start(0x1000, 0x40000, 4, command: 5);
        Assert.Equal(EduEffects.RaiseInterrupt, _edu.FinishTransfer(transfer, [1, 2, 3, 4]));
        Assert.Equal(0x100u, Read(0x24));
    }

    [Fact]
    public void While_a_transfer_runs_its_registers_do_not_change()
    {
        Start(0x1000, 0x40000, 16, command: 1);
        for (ulong at = 0x80; at <= 0x98; at += 8)
            Assert.Equal(EduEffects.None, _edu.Write(at, 8, 0x77));
        Assert.Equal([0x1000, 0x40000, 16, 1], new ulong[] { 0x80, 0x88, 0x90, 0x98 }.Select(Read));
    }

    [Fact]
    public void A_command_without_the_start_bit_is_dropped()
    {
        Assert.Equal(EduEffects.None, _edu.Write(0x98, 4, 6));
        Assert.Equal(0u, Read(0x98));
    }

    [Theory]
    [InlineData(0x40000, 4096, 4096)]
    [InlineData(0x40fff, 1, 1)]
    [InlineData(0x41000, 0, 0)]
    [InlineData(0x40000, 4097, 0)]
    [InlineData(0x40fff, 2, 0)]
    [InlineData(0x3ffff, 1, 0)]
    [InlineData(0, 16, 0)]
    [InlineData(0x41001, 0, 0)]
    [InlineData(0x40001, ulong.MaxValue, 0)]
    [InlineData(ulong.MaxValue, 0x40002, 0)]
    public void A_transfer_that_leaves_the_buffer_moves_nothing(ulong buffer, ulong count, int moved)
    {
        Assert.Equal(moved, Start(0x1000, buffer, count, command: 1).Count);
        _edu.Reset();
        Assert.Equal(moved, Start(buffer, 0x1000, count, command: 3).Count);
    }

    [Fact]
    public void Memory_addresses_are_cut_to_the_mask()
    {
        Assert.Equal(0x0345_6789ul, Start(0xf345_6789, 0x40000, 1, command: 1).Memory.Value);
        EduCore wide = new(dmaMask: ulong.MaxValue);
        wide.Write(0x80, 8, 0x8000_0000_f345_6789);
        wide.Write(0x88, 8, 0x40000);
        wide.Write(0x98, 4, 1);
        Assert.Equal(0x8000_0000_f345_6789, wide.Transfer.Memory.Value);
    }

    [Fact]
    public void A_refused_transfer_leaves_the_buffer_as_it_was()
    {
        EduTransfer transfer = Start(0x1000, 0x40010, 4, command: 1);
        _edu.FinishTransfer(transfer, [1, 2, 3, 4]);
        _edu.FinishTransfer(Start(0x2000, 0x40010, 4, command: 1), []);

        byte[] buffer = new byte[4];
        _edu.ReadBuffer(transfer, buffer);
        Assert.Equal([1, 2, 3, 4], buffer);
    }

    [Fact]
    public void Accesses_allocate_nothing() => Assert.Equal(0, Measure.Allocations(() =>
    {
        _edu.Write(0x04, 4, 1);
        _edu.Write(0x60, 4, 1);
        _edu.Write(0x64, 4, 1);
        _ = _edu.Read(0x04, 4);
        _ = _edu.Transfer;
    }));

    private ulong Read(ulong offset) => (uint)_edu.Read(offset, 4);

    private EduTransfer Start(ulong source, ulong destination, ulong count, ulong command)
    {
        _edu.Write(0x80, 8, source);
        _edu.Write(0x88, 8, destination);
        _edu.Write(0x90, 8, count);
        Assert.Equal(EduEffects.DoTransfer, _edu.Write(0x98, 4, command));
        return _edu.Transfer;
    }
}
