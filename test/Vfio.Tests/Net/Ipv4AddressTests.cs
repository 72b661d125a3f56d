using Vfio.Net;

namespace Vfio.Tests.Net;

/// <summary>Addresses as people write them.</summary>
public sealed class Ipv4AddressTests
{
    [Theory]
    [InlineData("192.0.2.7/24", 0xc0000207, 24)]
    [InlineData("192.0.2.7", 0xc0000207, 24)]
    [InlineData("10.1.2.3/8", 0x0a010203, 8)]
    [InlineData("198.51.100.0/31", 0xc6336400, 31)]
    [InlineData("198.51.100.1/32", 0xc6336401, 32)]
    public void Of_one_host_are_read(string text, uint address, int prefix)
    {
        Assert.True(Ipv4Interface.TryParse(text, out Ipv4Interface read));
        Assert.Equal((address, prefix), (read.Address.Value, read.PrefixBits));
        Assert.Equal($"{text.Split('/')[0]}/{prefix}", read.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("192.0.2")]
    [InlineData("192.0.2.7.1")]
    [InlineData("192.0.2.256")]
    [InlineData("192.0.2.0007")]
    [InlineData("192.0.2.-7")]
    [InlineData("192.0.2.7/")]
    [InlineData("192.0.2.7/0")]
    [InlineData("192.0.2.7/33")]
    [InlineData("192.0.2.0/24")]
    [InlineData("192.0.2.255/24")]
    [InlineData("0.0.0.0/24")]
    [InlineData("127.0.0.1/8")]
    [InlineData("224.0.0.1/24")]
    [InlineData("255.255.255.255/24")]
    [InlineData("fe80::1/64")]
    public void Of_no_one_host_are_not(string text) => Assert.False(Ipv4Interface.TryParse(text, out _));

    [Fact]
    public void A_network_ends_with_its_prefix()
    {
        Assert.True(Ipv4Interface.TryParse("172.16.5.4/20", out Ipv4Interface network));
        Assert.True(network.Contains(new Ipv4Address(0xac100001)));
        Assert.True(network.Contains(new Ipv4Address(0xac100fff)));
        Assert.False(network.Contains(new Ipv4Address(0xac101000)));
        Assert.True(network.IsBroadcast(new Ipv4Address(0xac100fff)));
        Assert.True(network.IsBroadcast(new Ipv4Address(0xac100000)));
        Assert.False(network.IsBroadcast(new Ipv4Address(0xac1005ff)));
    }
}
