using Vfio.Kernel;

namespace Vfio.Cli.Output;

/// <summary>Ends a command that has to release its device: one line, and exit code 1.</summary>
internal static class ReleaseRequest
{
    /// <summary>Watches while the command runs, and ends it at once: for commands that have nothing to finish.</summary>
    internal static void WhenAsked(PciDevice device)
    {
        DeviceWatch watch = new();
        watch.Start(device);
        watch.Stop.Register(() =>
        {
            // The kernel resets the device and removes its mappings when this process is gone.
            Environment.Exit(Report(watch.Reason!));
        });
    }

    /// <summary>Prints the reason.</summary>
    /// <returns>The exit code.</returns>
    internal static int Report(DeviceEvent reason)
    {
        StandardStreams.Errors.WriteLine($"vfio: {reason}");
        return CommandLine.Refused;
    }
}
