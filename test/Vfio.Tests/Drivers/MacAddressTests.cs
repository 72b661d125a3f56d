using Vfio.Drivers.Ethernet;

namespace Vfio.Tests.Drivers;

public sealed class MacAddressTests
{
    [Theory]
    [InlineData("52:54:00:12:34:56", 0x525400123456)]
    [InlineData("FF-FF-FF-FF-FF-FF", 0xffffffffffff)]
    public void Text_is_read_with_colons_and_with_hyphens(string text, long value)
    {
        Assert.True(MacAddress.TryParse(text, out MacAddress address));
        Assert.Equal((ulong)value, address.Value);
        Assert.Equal(text.ToLowerInvariant().Replace('-', ':'), address.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("52:54:00:12:34")]
    [InlineData("52:54:00:12:34:5g")]
    [InlineData("52.54.00.12.34.56")]
    [InlineData("52:54:00:12:34:56:")]
    [InlineData("+1:54:00:12:34:56")]
    public void Other_text_is_no_address(string text) => Assert.False(MacAddress.TryParse(text, out _));

    [Fact]
    public void Octets_stand_in_a_frame_in_the_order_of_the_text()
    {
        byte[] octets = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
        MacAddress address = MacAddress.Read(octets);
        byte[] written = new byte[6];
        address.Write(written);

        Assert.Equal(octets, written);
        Assert.Equal("02:11:22:33:44:55", address.ToString());
        Assert.True(address is { IsStation: true, IsLocal: true, IsGroup: false });
        Assert.True(MacAddress.Broadcast is { IsStation: false, IsGroup: true });
    }
}
