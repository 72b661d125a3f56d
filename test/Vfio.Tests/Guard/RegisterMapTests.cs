using Vfio.Guard;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class RegisterMapTests
{
    private enum R { A, B, C, D }

    public static TheoryData<string, Action<RegisterMap<R0>>> Refused => new()
    {
        { "overlaps", map => map.Add(0x02, 2, R0.B) },
        { "do not fit the map", map => map.Add(0x10, 4, R0.B) },
        { "do not fit the map", map => map.Add(ulong.MaxValue - 7, 8, R0.B) },
        { "not a naturally aligned register", map => map.Add(0x06, 4, R0.B) },
        { "not a naturally aligned register", map => map.Add(0x06, 3, R0.B) },
        { "twice", map => map.Add(0x08, 4, R0.A) },
        { "wider", map => map.Add(0x08, 2, R0.B, reset: 0x10000) },
        { "both", map => map.Add(0x08, 4, R0.B, writable: 3, writeOneToClear: 6) },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_row_that_cannot_be_is_refused(string why, Action<RegisterMap<R0>> add)
    {
        RegisterMap<R0> map = new(0x10) { { 0x00, 4, R0.A } };
        Assert.Contains(why, Assert.Throws<ArgumentException>(() => add(map)).Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(24)]
    public void A_length_that_is_no_power_of_two_is_refused(ulong length) =>
        Assert.Throws<ArgumentException>(() => new RegisterMap<R>(length));

    [Fact]
    public void Masks_decide_what_a_write_changes()
    {
        RegisterFile<R> file = new(new RegisterMap<R>(0x10) { { 0x04, 4, R.A, 0x8000_00ff, 0x0000_ff00, 0x0000_000f } });
        file.Write(4, [0x05, 0x12, 0x34, 0x56]);
        Assert.Equal(0x8000_12faul, file[R.A]);
    }

    [Fact]
    public void Odd_accesses_show_handlers_whole_registers_in_order()
    {
        List<string> seen = [];
        RegisterFile<R> file = new(new RegisterMap<R>(0x10, unlisted: 0xee)
        {
            { 0x08, 4, R.C, 0x44332211, 0xffffffff },
            { 0x00, 2, R.A, 0xbbaa, 0xffff },
            { 0x04, 2, R.B, 0xddcc, 0xffff },
        });
        file.OnRead(R.A, value => { seen.Add($"A={value:x}"); return value; });
        file.OnRead(R.B, value => { seen.Add($"B={value:x}"); return value + 1; });
        file.OnWrite(R.B, value => seen.Add($"B<{value:x}"));
        file.OnWrite(R.C, value => seen.Add($"C<{value:x}"));
        byte[] bytes = new byte[8];
        file.Read(1, bytes);
        Assert.Equal([0xbb, 0xee, 0xee, 0xcd, 0xdd, 0xee, 0xee, 0x11], bytes);
        file.Write(5, [0x01, 0x02, 0x03, 0x04, 0x05]);
        Assert.Equal(["A=bbaa", "B=ddcc", "B<1cc", "C<44330504"], seen);
        Assert.Equal(0x44330504ul, file[R.C]);
    }

    [Fact]
    public void A_narrow_write_does_not_clear_bits_that_it_leaves_out()
    {
        RegisterFile<R> file = new(new RegisterMap<R>(0x10) { { 0x00, 4, R.A, 0, 0, 0xffffffff } });
        ulong written = 0;
        file.OnWrite(R.A, value => written = value);
        file.Set(R.A, 0x01010101);
        file.Write(1, [0xff]);
        Assert.Equal(0x01010001ul, file[R.A]);
        Assert.Equal(0xff00ul, written);
    }

    [Fact]
    public void Reset_brings_the_reset_values_back()
    {
        RegisterFile<R> file = new(new RegisterMap<R>(0x10) { { 0x00, 8, R.A, 7, ulong.MaxValue }, { 0x08, 1, R.D, 3, 0xff } });
        file[R.A] = ulong.MaxValue;
        file[R.D] = 0;
        file.Reset();
        Assert.Equal((7ul, 3ul), (file[R.A], file[R.D]));
    }

    /// <summary>Names for rows that are refused.</summary>
    public enum R0 { A, B }
}
