using Vfio.User;

namespace Vfio.Tests;

/// <summary>A server in this process, at a path of its own.</summary>
internal sealed class LocalServer : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-local-").FullName;
    private readonly CancellationTokenSource _stop = new();
    private readonly VfioUserServer _server;
    private readonly Task _running;

    /// <summary>Serves until it is disposed.</summary>
    /// <param name="open">Opens the device; once a client.</param>
    internal LocalServer(Func<IVfioDevice> open)
    {
        _server = new VfioUserServer(open, new VfioUserServerOptions { Path = Path.Combine(_folder, "s") });
        _running = _server.RunAsync(_stop.Token);
    }

    /// <summary>Where it is.</summary>
    internal string Address => $"unix:{Path.Combine(_folder, "s")}";

    /// <summary>Ends the session under way too.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        Assert.True(_running.Wait(HangGuard.Timeout), "the server does not end");
        _server.Dispose();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
