using Vfio.Kernel;

namespace Vfio.Cli.Output;

/// <summary>Ends a command whose device is wanted back by its owner: a line, and exit code 1.</summary>
internal static class GiveBack
{
    /// <summary>Watches for as long as the command runs.</summary>
    internal static void WhenAsked(PciDevice device)
    {
        DeviceEvents events;
        try
        {
            events = new DeviceEvents();
            events.Listen(device);
        }
        catch (VfioException)
        {
            // Where nothing can be heard, nobody can ask.
            return;
        }

        _ = EndAsync(events, device.Name);
    }

    private static async Task EndAsync(DeviceEvents events, string name)
    {
        await foreach (DeviceEvent happened in events.ReadAllAsync())
        {
            if (happened.Kind != DeviceEventKind.ReturnRequested || happened.Device != name)
                continue;

            // The kernel resets the device and takes its mappings away when this process is gone.
            await Console.Error.WriteLineAsync($"vfio: {happened}");
            Environment.Exit(CommandLine.Refused);
        }
    }
}
