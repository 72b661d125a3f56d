using Vfio.Cli.Output;
using Vfio.Native.Errors;
using Vfio.Tracing;
using Vfio.User;

namespace Vfio.Cli.Trace;

/// <summary>Serves a device of which everything is traced.</summary>
/// <param name="source">The device.</param>
/// <param name="trace">The trace.</param>
/// <param name="target">Where the trace goes, for errors.</param>
internal sealed class TracedServing(DeviceSource source, DeviceTrace trace, string target)
{
    /// <summary>Serves it until a signal.</summary>
    /// <param name="socket">Where to listen.</param>
    /// <param name="instructions">Gets what to give to QEMU.</param>
    /// <returns>The exit code: 1 when the trace ended because it could not be written.</returns>
    internal async Task<int> RunAsync(string socket, TextWriter instructions)
    {
        using StopSignals signals = new();
        using VfioUserServer server = new(() => new TracedDevice(source.Open(), trace), new VfioUserServerOptions { Path = socket });
        ConnectInstructions.Write(instructions, server.Path, libvirt: false);
        Task reporting = ReportAsync(trace, target);
        await server.RunAsync(signals.Token);
        trace.Dispose();
        await reporting;
        return trace.Failure is null ? 0 : CommandLine.Refused;
    }

    /// <summary>Says when a trace ends early, and what was lost.</summary>
    internal static async Task ReportAsync(DeviceTrace trace, string target)
    {
        await trace.Ended.ConfigureAwait(false);
        if (trace.Failure is { } failure && failure is not VfioException { Errno: Errno.BrokenPipe })
        {
            CommandLine.Report(
                new VfioException("writing the trace", target, FileErrors.ErrnoOf(failure), "the trace ends here, and the device goes on"), StandardStreams.Errors);
        }

        if (trace.Dropped > 0)
            StandardStreams.Errors.WriteLine($"vfio: {trace.Dropped} events are missing in {target}: they came faster than they could be written; choose with --only");
    }
}
