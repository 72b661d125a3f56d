using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Drivers;

/// <summary>The guarded model behind a vfio-user server, over a real socket.</summary>
public sealed class NvmeDriverOverSocketTests : NvmeDriverTests, IAsyncDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vfio-nvme-{Guid.NewGuid():n}.sock");
    private readonly CancellationTokenSource _stop = new();
    private readonly GuardedFunction _nvme = new(NvmeFunction.InMemory(DiskBytes));
    private readonly VfioUserServer _server;
    private readonly Task _running;

    public NvmeDriverOverSocketTests()
    {
        _server = new VfioUserServer(_nvme.Open, new VfioUserServerOptions { Path = _path });
        _running = _server.RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _server.Dispose();
        _nvme.Dispose();
        _stop.Dispose();
    }

    protected override IVfioDevice Open() => VfioUserClient.Connect(_path);
}
