using Vfio.Net;

namespace Vfio.Tests.Net;

/// <summary>The checksum, with the numbers that the RFCs print.</summary>
public sealed class InternetChecksumTests
{
    [Fact]
    public void Of_RFC_1071s_example_is_the_complement_of_ddf2() =>
        Assert.Equal(0x220d, InternetChecksum.Compute(Frames.Bytes("0001 f203 f4f5 f6f7")));

    [Theory]
    [InlineData(0xdd2f, 0x5555, 0x3285, 0x0000)]
    public void After_a_change_is_as_RFC_1624_has_it(int checksum, int from, int to, int expected) =>
        Assert.Equal(expected, InternetChecksum.Update((ushort)checksum, (ushort)from, (ushort)to));

    [Fact]
    public void Of_a_header_with_its_checksum_is_zero()
    {
        byte[] header = Frames.Bytes("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
        Assert.Equal(0, InternetChecksum.Compute(header));
        header[10] = header[11] = 0;
        Assert.Equal(0xb861, InternetChecksum.Compute(header));
    }

    [Fact]
    public void Of_any_bytes_is_that_of_adding_word_by_word()
    {
        Random random = new(1);
        for (int length = 0; length < 300; length++)
        {
            byte[] bytes = new byte[length];
            random.NextBytes(bytes);
            Assert.Equal((ushort)~Frames.Sum(bytes), InternetChecksum.Compute(bytes));
        }
    }

    [Fact]
    public void Of_a_long_row_of_ones_does_not_overflow()
    {
        byte[] ones = new byte[1 << 20];
        ones.AsSpan().Fill(0xff);
        Assert.Equal(0, InternetChecksum.Compute(ones));
    }
}
