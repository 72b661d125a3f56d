using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Servers that take over from each other at one socket, each with a guarded function of its own.</summary>
internal sealed class Relay : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-relay-").FullName;
    private readonly Func<IPciFunction> _make;
    private readonly GuardPolicy _policy;
    private readonly VfioUserServerOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private Runner _now;

    internal Relay(Func<IPciFunction> make, GuardPolicy? policy = null, VfioUserServerOptions? options = null)
    {
        _make = make;
        _policy = policy ?? new GuardPolicy();
        _options = (options ?? new VfioUserServerOptions()) with { HandoverPath = Place };
        _now = Start(_options with { Path = SocketPath }, make);
    }

    internal string SocketPath => Path.Combine(_folder, "s");

    /// <summary>Where a successor asks.</summary>
    internal string Place => Path.Combine(_folder, "next");

    internal GuardedFunction Function => _now.Function;

    /// <summary>Puts another server in the place of the one of now, and waits until that has ended.</summary>
    internal void Replace(Func<IPciFunction>? make = null)
    {
        Runner next = Start(_options with { TakeOverPath = Place }, make ?? _make);
        Assert.True(_now.Task.Wait(TestTimeout), "the server of before does not end");
        Assert.True(_now.Server.IsHandedOver);
        _now.Dispose();
        _now = next;
    }

    public void Dispose()
    {
        _stop.Cancel();
        Assert.True(_now.Task.Wait(TestTimeout), "the server does not end");
        _now.Dispose();
        _stop.Dispose();
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
        Directory.Delete(_folder);
    }

    private Runner Start(VfioUserServerOptions options, Func<IPciFunction> make)
    {
        GuardedFunction function = new(make(), policy: _policy);
        try
        {
            VfioUserServer server = new(function.Open, options);
            return new Runner(function, server, server.RunAsync(_stop.Token));
        }
        catch
        {
            function.Dispose();
            throw;
        }
    }

    private sealed record Runner(GuardedFunction Function, VfioUserServer Server, Task Task) : IDisposable
    {
        public void Dispose()
        {
            Server.Dispose();
            Function.Dispose();
        }
    }
}
