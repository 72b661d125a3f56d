using Vfio.Guard;
using Vfio.Tests.Guard;
using Xunit;

namespace Vfio.Tests.Drivers;

public sealed class SummerDriverTests
{
    [Fact]
    public async Task The_driver_of_the_readme_drives_the_device_of_the_readme()
    {
        using GuardedFunction summer = new(new SummerFunction());
        using SummerDriver driver = new(summer.Open());

        Assert.Equal(40u, await driver.SumAsync([10, 10, 10, 10]));
        Assert.Equal(6u, await driver.SumAsync([1, 2, 3]));
    }
}
