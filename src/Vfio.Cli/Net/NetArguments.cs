using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Vfio.Cli.Output;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Kernel;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Net;

namespace Vfio.Cli.Net;

/// <summary>Arguments and options that the commands of <c>vfio net</c> share.</summary>
internal static class NetArguments
{
    private const int LinkSeconds = 5;

    internal static Option<Ipv4Interface> OwnAddress() => new("--address", "-a")
    {
        Description = "The port's IPv4 address, with its network's prefix: 192.0.2.7/24.",
        Required = true,
        CustomParser = result =>
        {
            if (!Ipv4Interface.TryParse(result.Tokens[0].Value, out Ipv4Interface address))
                result.AddError($"'{result.Tokens[0].Value}' is no host's address: write 192.0.2.7/24.");
            return address;
        },
    };

    internal static Option<MacAddress?> Mac() => new("--mac")
    {
        Description = "The port's Ethernet address; by default the one that the function has.",
        CustomParser = result =>
        {
            if (MacAddress.TryParse(result.Tokens[0].Value, out MacAddress address) && address.IsStation)
                return address;
            result.AddError($"'{result.Tokens[0].Value}' is no station's address: write 02:00:00:00:00:07.");
            return null;
        },
    };

    internal static Option<bool> Poll() => new("--poll") { Description = "Never sleep: uses a whole core, for the lowest latency." };

    /// <summary>Reads an address of one host.</summary>
    internal static Ipv4Address ParseHost(ArgumentResult result)
    {
        string word = result.Tokens[0].Value;
        if (!Ipv4Address.TryParse(word, out Ipv4Address address) || !address.IsSingleHost)
            result.AddError($"'{word}' is no host's address: write 192.0.2.1.");
        return address;
    }

    /// <summary>Opens a port, waits a little for its link, and drives it until the command is done, is stopped by Ctrl-C or SIGTERM,
    /// or has to release the device; then closes it.</summary>
    /// <param name="address">Of the device.</param>
    /// <param name="options">How to open it.</param>
    /// <param name="mac">The station's; null for the one that the function has.</param>
    /// <param name="polled">Whether to spin rather than sleep.</param>
    /// <param name="drive">What to do with the port until the token is cancelled, or earlier; gives the exit code.</param>
    /// <returns>The exit code.</returns>
    internal static int Drive(
        string address, VfioDeviceOptions options, MacAddress? mac, bool polled, Func<IgbPort, CancellationToken, int> drive)
    {
        using StopSignals signals = new();
        using DeviceWatch watch = new();
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Token, watch.Stop);
        int code;
        using (IgbPort port = new(VfioDevice.Open(address, options), new IgbOptions { Address = mac, Interrupts = !polled }))
        {
            using VirtualFunctionService service = new(port);
            watch.Start(port.Device);
            WaitForLink(port, TimeSpan.FromSeconds(LinkSeconds), stop.Token);
            code = drive(port, stop.Token);
        }

        return watch.Reason is { } reason ? ReleaseRequest.Report(reason) : code;
    }

    /// <summary>A number for people: 1.2.</summary>
    internal static string Number(double value, string format = "0.0") => value.ToString(format, CultureInfo.InvariantCulture);

    private static void WaitForLink(IEthernetPort port, TimeSpan timeout, CancellationToken stop)
    {
        Deadline end = new(timeout);
        while (!port.IsLinkUp)
        {
            if (stop.WaitHandle.WaitOne(20))
                return;
            if (end.HasPassed)
            {
                StandardStreams.Errors.WriteLine($"vfio: {port.Name} has no link yet; continuing");
                return;
            }
        }
    }
}
