using Vfio.Devices.Igb;
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Drivers;

/// <summary>Two guarded models behind vfio-user servers, their cable a UNIX stream socket.</summary>
public sealed class IgbDriverOverSocketTests : IgbDriverTests, IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-igb-").FullName;
    private readonly CancellationTokenSource _stop = new();
    private readonly GuardedFunction[] _functions;
    private readonly VfioUserServer[] _servers;
    private readonly Task[] _running;

    public IgbDriverOverSocketTests()
    {
        string cable = Path.Combine(_folder, "cable");
        _functions =
        [
            new GuardedFunction(IgbFunction.Create($"listen:{cable}", FirstMac)),
            new GuardedFunction(IgbFunction.Create($"stream:{cable}", SecondMac)),
        ];
        _servers =
        [
            .. _functions.Select((function, i) => new VfioUserServer(function.Open, new VfioUserServerOptions { Path = Socket(i) })),
        ];
        _running = [.. _servers.Select(server => server.RunAsync(_stop.Token))];
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        foreach (VfioUserServer server in _servers)
            server.Dispose();
        foreach (GuardedFunction function in _functions)
            function.Dispose();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected override IVfioDevice OpenFirst() => VfioUserClient.Connect(Socket(0));

    protected override IVfioDevice OpenSecond() => VfioUserClient.Connect(Socket(1));

    private string Socket(int number) => Path.Combine(_folder, $"device{number}");
}
