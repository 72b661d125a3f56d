// README: a server
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Readme;

/// <summary>Serves the counter until it is cancelled. Each client finds it reset, with bus mastering and interrupts off.</summary>
public static class CounterServer
{
    public static void Serve(string socket, CancellationToken stop)
    {
        using GuardedFunction guard = new(new CounterDevice());
        using VfioUserServer server = new(guard.Open, new VfioUserServerOptions { Path = socket });
        server.Run(stop);
    }
}
