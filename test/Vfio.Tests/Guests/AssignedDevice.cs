using Vfio.Guard;
using Vfio.Tests.Readme;
using Vfio.User;

namespace Vfio.Tests.Guests;

/// <summary>A device that this process assigns on a socket of its own, until disposed.</summary>
internal sealed class AssignedDevice : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vfio-test-");
    private readonly Task _serving;

    private AssignedDevice(Action<string, CancellationToken> serve)
    {
        SocketPath = Path.Combine(_folder.FullName, "s");
        _serving = Task.Factory.StartNew(
            () => serve(SocketPath, _stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(SocketPath) || _serving.IsCompleted, HangGuard.Timeout));
    }

    public string SocketPath { get; }

    /// <summary>Assigns a function under a guard.</summary>
    public static AssignedDevice Of(IPciFunction function) => new((path, stop) =>
    {
        using GuardedFunction guard = new(function);
        using VfioUserServer server = new(guard.Open, new VfioUserServerOptions { Path = path });
        server.Run(stop);
    });

    /// <summary>Assigns a device as it is, to one client.</summary>
    public static AssignedDevice Of(IVfioDevice device) => new((path, stop) =>
    {
        using VfioUserServer server = new(() => device, new VfioUserServerOptions { Path = path });
        server.Run(stop);
    });

    /// <summary>Assigns the device that the README shows, as the README does.</summary>
    public static AssignedDevice OfReadme() => new(CounterServer.Serve);

    public void Dispose()
    {
        _stop.Cancel();
        Assert.True(_serving.Wait(HangGuard.Timeout), "a server does not end");
        _stop.Dispose();
        _folder.Delete(recursive: true);
    }
}
