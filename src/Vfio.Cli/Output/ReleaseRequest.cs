using Vfio.Kernel;

namespace Vfio.Cli.Output;

/// <summary>Ends a command that has to let go of its device: a line, and exit code 1.</summary>
internal static class ReleaseRequest
{
    /// <summary>Watches for as long as the command runs, and ends it at once: for commands that have nothing to finish.</summary>
    internal static void WhenAsked(PciDevice device)
    {
        DeviceWatch watch = new();
        watch.Start(device);
        watch.Stop.Register(() =>
        {
            // The kernel resets the device and takes its mappings away when this process is gone.
            Environment.Exit(Tell(watch.Reason!));
        });
    }

    /// <summary>Says why.</summary>
    /// <returns>The exit code.</returns>
    internal static int Tell(DeviceEvent reason)
    {
        StandardStreams.Errors.WriteLine($"vfio: {reason}");
        return CommandLine.Refused;
    }
}
