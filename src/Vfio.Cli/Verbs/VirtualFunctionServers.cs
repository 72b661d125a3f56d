using Vfio.Guard;
using Vfio.User;

namespace Vfio.Cli.Verbs;

/// <summary>Servers of the virtual functions of a model that is served: function n at the socket of the model with <c>.vfn</c> after its name.</summary>
internal sealed class VirtualFunctionServers : IDisposable
{
    private readonly List<VfioUserServer> _servers = [];
    private readonly CancellationTokenSource _end = new();
    private Task[] _serving = [];

    private VirtualFunctionServers()
    {
    }

    /// <summary>Makes them; they listen from here on.</summary>
    /// <param name="address">The model's, for messages.</param>
    /// <param name="functions">The virtual functions; none for other devices.</param>
    /// <param name="options">How the model is served.</param>
    /// <exception cref="VfioException">EINVAL: there are virtual functions, and no place for their sockets; else why one cannot listen.</exception>
    internal static VirtualFunctionServers Make(string address, IReadOnlyList<GuardedFunction> functions, VfioUserServerOptions options)
    {
        VirtualFunctionServers made = new();
        if (functions.Count == 0)
            return made;
        if (options.Path is not { } path || options.HandoverPath is not null || options.MaxClients > 1)
        {
            throw new VfioException(
                "serving", address, Errno.InvalidArgument,
                "its virtual functions are served beside it: give --socket PATH, and neither --clients nor --handover");
        }

        try
        {
            foreach (GuardedFunction function in functions)
                made._servers.Add(new VfioUserServer(function.Open, options with { Path = $"{path}.vf{made._servers.Count}" }));
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Says where they are.</summary>
    internal void Write(TextWriter output)
    {
        for (int i = 0; i < _servers.Count; i++)
            output.WriteLine($"virtual function {i} is at {Path.GetFullPath(_servers[i].Path!)}");
        output.Flush();
    }

    /// <summary>Serves, on threads of their own, until <see cref="End"/>.</summary>
    /// <param name="all">Cancelled when one of them cannot go on.</param>
    internal void Start(CancellationTokenSource all) => _serving = [.. _servers.Select(server => ServeAsync(server, all))];

    /// <summary>Ends their sessions.</summary>
    /// <exception cref="VfioException">Why one could not go on.</exception>
    internal void End()
    {
        _end.Cancel();
        Task.WhenAll(_serving).GetAwaiter().GetResult();
    }

    /// <summary>As <see cref="VfioUserServer.Abandon"/>.</summary>
    internal void Abandon() => _servers.ForEach(server => server.Abandon());

    /// <summary>Ends their sessions, and removes their sockets.</summary>
    public void Dispose()
    {
        _end.Cancel();

        // What ended one of them is said by End.
        Task.WhenAll(_serving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
        _servers.ForEach(server => server.Dispose());
        _end.Dispose();
    }

    private async Task ServeAsync(VfioUserServer server, CancellationTokenSource all)
    {
        try
        {
            await server.RunAsync(_end.Token);
        }
        catch
        {
            await all.CancelAsync();
            throw;
        }
    }
}
