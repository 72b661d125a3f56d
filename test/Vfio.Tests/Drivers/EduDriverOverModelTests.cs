using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>The guarded model in this process.</summary>
public sealed class EduDriverOverModelTests : EduDriverTests, IDisposable
{
    private readonly GuardedFunction _edu = new(new EduFunction());

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Operations_allocate_nothing(uint kind)
    {
        using EduDriver edu = new(Open(), new InterruptIndex(kind));
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        Assert.Equal(0, Measure.Allocations(() =>
        {
            edu.Factorial(5);
            edu.CopyToDevice(memory, 0, 64);
            edu.CopyFromDevice(memory, 0, 64);
        }));
    }

    public void Dispose() => _edu.Dispose();

    protected override IVfioDevice Open() => _edu.Open();
}
