using Vfio;

namespace Driver._1.Tests;

public sealed class EduDriverTests : IDisposable
{
    private readonly EduDriver _edu = new(VfioDevice.Open("model:edu"));

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(10, 3_628_800)]
    public void The_device_computes_factorials(uint number, uint factorial) => Assert.Equal(factorial, _edu.Factorial(number));

    [Fact]
    public void Bytes_go_to_the_device_and_come_back() => Assert.Equal("hello, edu"u8.ToArray(), _edu.Echo("hello, edu"u8));

    [Fact]
    public void Another_device_is_refused() =>
        Assert.Throws<NotSupportedException>(() => new EduDriver(VfioDevice.Open("model:bench")));

    public void Dispose() => _edu.Dispose();
}
