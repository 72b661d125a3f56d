using Vfio.Devices.Igb;
using Vfio.Guard;

namespace Vfio.Tests.Drivers;

/// <summary>Two guarded models in this process, at one hub.</summary>
public sealed class IgbDriverOverModelTests : IgbDriverTests, IDisposable
{
    private readonly GuardedFunction _first;
    private readonly GuardedFunction _second;

    public IgbDriverOverModelTests()
    {
        string hub = $"hub:{Guid.NewGuid():n}";
        _first = new GuardedFunction(IgbFunction.Create(hub, FirstMac));
        _second = new GuardedFunction(IgbFunction.Create(hub, SecondMac));
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }

    protected override IVfioDevice OpenFirst() => _first.Open();

    protected override IVfioDevice OpenSecond() => _second.Open();
}
