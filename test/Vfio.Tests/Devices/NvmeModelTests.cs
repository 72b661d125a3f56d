using Vfio.Devices;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>What the address <c>model:nvme</c> takes.</summary>
public sealed class NvmeModelTests
{
    [Theory]
    [InlineData("size", "0")]
    [InlineData("size", "513")]
    [InlineData("size", "-1M")]
    [InlineData("size", "M")]
    [InlineData("size", "")]
    [InlineData("size", "99999999999999T")]
    [InlineData("image", "/dev/null")]
    [InlineData("nonsense", "1")]
    public void What_is_no_disk_is_refused_in_one_line(string name, string value)
    {
        Dictionary<string, string> options = new() { [name] = value };
        VfioException refusal = Assert.Throws<VfioException>(() => ModelCatalog.Create("nvme", options));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Theory]
    [InlineData("512")]
    [InlineData("1k")]
    [InlineData("64M")]
    [InlineData("2T")]
    public void A_size_is_bytes_or_has_a_unit(string size)
    {
        using IPciFunction disk = ModelCatalog.Create("nvme", new Dictionary<string, string> { ["size"] = size });
        Assert.Equal("nvme", disk.Name);
    }

    [Fact]
    public void An_image_and_a_size_exclude_each_other() => Assert.Throws<VfioException>(
        () => ModelCatalog.Create("nvme", new Dictionary<string, string> { ["size"] = "1M", ["image"] = "/tmp/x" }));
}
