// tests/CrcDeviceTests.cs
using Vfio.Guard;

namespace Crc.Tests;

public sealed class CrcDeviceTests : IDisposable
{
    private readonly GuardedFunction _function = new(new CrcDevice());
    private readonly CrcClient _client;

    public CrcDeviceTests() => _client = new CrcClient(_function.Open());

    [Fact]
    public void It_is_what_the_driver_expects() => Assert.Equal(0x4352_4333u, _client.Identity);

    [Fact]
    public void The_checksum_of_nine_digits_is_the_one_that_catalogues_give() =>
        Assert.Equal(0xe306_9283u, _client.Compute("123456789"u8));

    [Fact]
    public void A_megabyte_takes_several_chunks() => Assert.Equal(0x1429_8c12u, _client.Compute(new byte[1 << 20]));

    [Fact]
    public void Memory_that_was_not_mapped_is_an_error() => Assert.Equal(6u, _client.Run(address: 0xdead_0000, bytes: 4));

    [Fact]
    public void A_reset_clears_the_registers()
    {
        _client.Compute("123456789"u8);
        _client.Device.Reset();
        Assert.Equal(0u, _client.LastResult);
    }

    public void Dispose()
    {
        _client.Dispose();
        _function.Dispose();
    }
}
