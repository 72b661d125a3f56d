// tests/CardDriverTests.cs
using Vfio;
using Vfio.Guard;

namespace Fpga.Tests;

public sealed class CardDriverTests : IDisposable
{
    private readonly CardModel _model = new();
    private readonly GuardedFunction _function;
    private readonly CardDriver _card;

    public CardDriverTests()
    {
        _function = new GuardedFunction(_model);
        _card = new CardDriver(_function.Open());
    }

    [Fact]
    public void The_version_is_the_bitstreams() => Assert.Equal("1.2", _card.Version.ToString());

    [Fact]
    public void Scratch_keeps_what_is_written() => Assert.True(_card.TestScratch(0x1234_5678));

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(64 * 1024)]
    public void The_logic_inverts_every_bit(int length)
    {
        byte[] data = new byte[length], inverted = new byte[length];
        Random.Shared.NextBytes(data);
        _card.Process(data, inverted);
        Assert.Equal(data.Select(value => (byte)~value), inverted);
    }

    [Fact]
    public void An_error_of_the_card_is_thrown_and_the_next_transfer_works()
    {
        byte[] data = [1, 2, 3, 4], inverted = new byte[4];
        _model.IsBroken = true;
        IOException failure = Assert.Throws<IOException>(() => _card.Process(data, inverted));
        Assert.Contains("STATUS is Done, Error", failure.Message);
        _model.IsBroken = false;
        _card.Process(data, inverted);
        Assert.Equal([0xfe, 0xfd, 0xfc, 0xfb], inverted);
    }

    [Fact]
    public void Another_device_is_refused() =>
        Assert.Throws<NotSupportedException>(() => new CardDriver(VfioDevice.Open("model:edu")));

    public void Dispose()
    {
        _card.Dispose();
        _function.Dispose();
    }
}
