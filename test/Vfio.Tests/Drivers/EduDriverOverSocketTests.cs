using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Drivers;

/// <summary>The guarded model behind a vfio-user server, over a real socket.</summary>
public sealed class EduDriverOverSocketTests : EduDriverTests, IAsyncDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vfio-edu-{Guid.NewGuid():n}.sock");
    private readonly CancellationTokenSource _stop = new();
    private readonly GuardedFunction _edu = new(new EduFunction());
    private readonly VfioUserServer _server;
    private readonly Task _running;

    public EduDriverOverSocketTests()
    {
        _server = new VfioUserServer(_edu.Open, new VfioUserServerOptions { Path = _path });
        _running = _server.RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _server.Dispose();
        _edu.Dispose();
        _stop.Dispose();
    }

    protected override IVfioDevice Open() => VfioUserClient.Connect(_path);
}
