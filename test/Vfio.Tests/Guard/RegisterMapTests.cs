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
        { "no series", map => map.Add(new RegisterSeries(0x04, 0, 4), 4, R0.B) },
        { "no series", map => map.Add(new RegisterSeries(0x04, 2, 0), 4, R0.B) },
        { "do not fit the map", map => map.Add(new RegisterSeries(0x04, 2, ulong.MaxValue - 3), 4, R0.B) },
        { "do not fit the map", map => map.Add(new RegisterSeries(0x04, 4, 4), 4, R0.B) },
        { "second place", map => map.Add(new RegisterSeries(0x08, 2, 4), R0.A) },
        { "second place", map => map.Add(new RegisterSeries(0x08, 1, 4), R0.B) },
        { "overlaps", map => map.Add(new RegisterSeries(0x00, 1, 4), R0.A) },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_row_that_cannot_be_is_refused_when_the_device_is_made(string why, Action<RegisterMap<R0>> add)
    {
        RegisterMap<R0> map = new(0x10) { { 0x00, 4, R0.A } };
        add(map);
        ArgumentException refusal = Assert.Throws<ArgumentException>(() => new RegisterFile<R0>(map));
        Assert.Contains(why, refusal.Message);
        Assert.Matches("[AB]: |[AB] at |[AB] is", refusal.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(24)]
    public void A_length_that_is_no_power_of_two_is_refused(ulong length) =>
        Assert.Throws<ArgumentException>(() => new RegisterFile<R>(new RegisterMap<R>(length)));

    [Fact]
    public void Mistakes_of_a_static_table_surface_as_themselves_and_all_at_once()
    {
        ArgumentException refusal = Assert.Throws<ArgumentException>(() => new RegisterFile<R>(Wrong.Map));
        Assert.Contains("B at 0x2 overlaps A at 0x0", refusal.Message);
        Assert.Contains("C: a value or mask is wider", refusal.Message);
    }

    [Fact]
    public void Each_register_of_a_series_has_its_value_and_its_number()
    {
        List<string> seen = [];
        RegisterFile<R> file = new(new RegisterMap<R>(0x40)
        {
            { new RegisterSeries(0x00, Count: 4, Stride: 8), 4, R.A, 7, 0xff },
            { new RegisterSeries(0x04, Count: 4, Stride: 8), 4, R.B, 9, 0xff },
            { new RegisterSeries(0x30, Count: 2, Stride: 4), R.A, 1 },
        });
        file.OnWrite(R.B, (index, value) => seen.Add($"B{index}<{value:x}"));
        file.Write(0x1c, [5, 0, 0, 0]);
        file.Write(0x34, [6, 0, 0, 0]);
        Assert.Equal((5ul, 9ul), (file[R.B, 3], file[R.B, 2]));
        Assert.Equal((7ul, 6ul), (file[R.A, 1], file[R.A, 2]));
        Assert.Equal(["B3<5"], seen);
        Assert.Throws<ArgumentOutOfRangeException>(() => file[R.A, 4]);
        byte[] bytes = new byte[4];
        file.Read(0x10, bytes);
        Assert.Equal([6, 0, 0, 0], bytes);
    }

    [Fact]
    public void A_read_of_any_byte_clears_the_bits_that_it_is_to()
    {
        RegisterFile<R> file = new(new RegisterMap<R>(0x10) { { 0x00, 4, R.A, 0, 0, 0, 0x00ff_ffff } });
        file[R.A] = 0x1234_5678;
        byte[] one = new byte[1];
        file.Read(2, one);
        Assert.Equal(0x34, one[0]);
        Assert.Equal(0x1200_0000ul, file[R.A]);
    }

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

    private static class Wrong
    {
        internal static readonly RegisterMap<R> Map = new(0x10)
        {
            { 0x00, 4, R.A },
            { 0x02, 2, R.B },
            { 0x08, 1, R.C, 0x100 },
        };
    }
}
