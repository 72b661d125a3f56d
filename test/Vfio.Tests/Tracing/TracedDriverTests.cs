using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.Tests.Drivers;
using Vfio.Tracing;

namespace Vfio.Tests.Tracing;

/// <summary>The driver of edu works through a trace as without it.</summary>
public sealed class TracedEduDriverTests : EduDriverTests, IDisposable
{
    private readonly GuardedFunction _edu = new(new EduFunction());
    private readonly TraceRig _rig = new(new TraceOptions { SeesDma = true, MaxDataBytes = 4096 });

    public void Dispose()
    {
        Assert.NotEmpty(_rig.Events());
        _rig.Dispose();
        _edu.Dispose();
    }

    protected override IVfioDevice Open() => new TracedDevice(_edu.Open(), _rig.Trace);
}

/// <summary>The driver of NVMe works through a trace as without it.</summary>
public sealed class TracedNvmeDriverTests : NvmeDriverTests, IDisposable
{
    private readonly GuardedFunction _nvme = new(NvmeFunction.InMemory(DiskBytes));
    private readonly TraceRig _rig = new(new TraceOptions { SeesDma = true });

    public void Dispose()
    {
        Assert.NotEmpty(_rig.Events());
        _rig.Dispose();
        _nvme.Dispose();
    }

    protected override IVfioDevice Open() => new TracedDevice(_nvme.Open(), _rig.Trace);
}
