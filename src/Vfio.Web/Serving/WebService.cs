using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Tracing;
using Vfio.User;

namespace Vfio.Web.Serving;

/// <summary>What <c>vfio web</c> does until a signal: the page, and the device at its socket.</summary>
internal static class WebService
{
    /// <summary>Runs it.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="output">Gets the address to open.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="VfioException">A device, the trace, the socket or the port cannot be opened.</exception>
    internal static async Task<int> RunAsync(WebRequest request, TextWriter output)
    {
        // Until then a signal ends the process: opening may take long, or wait for who writes a file.
        using WatchState state = WatchState.Open(request);
        using StopSignals signals = new();
        WebHost host = await WebHost.StartAsync(state).ConfigureAwait(false);
        await using (host.ConfigureAwait(false))
        {
            output.WriteLine($"open {host.Address}");
            if (request.Socket is { } socket)
                await ServeAsync(state, socket, output, signals.Token).ConfigureAwait(false);
            else
                await Task.Delay(Timeout.Infinite, signals.Token).ContinueWith(_ => { }, TaskScheduler.Default).ConfigureAwait(false);
        }

        return 0;
    }

    /// <summary>Serves the device, traced, until it is told to stop.</summary>
    internal static async Task ServeAsync(WatchState state, string socket, TextWriter output, CancellationToken stop)
    {
        using DeviceTrace trace = new(_ => state.Trace!.Store, state.Request.Options);
        VfioUserServerOptions options = new() { Path = socket };
        using VfioUserServer server = new(() => new TracedDevice(state.Devices[0].OpenForUser(), trace), options);
        ConnectInstructions.Write(output, server.Path, libvirt: false);
        await server.RunAsync(stop).ConfigureAwait(false);
    }
}
