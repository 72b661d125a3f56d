using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Drivers.Packets;

namespace Vfio.Cli.Net;

/// <summary>What the words of <c>vfio net</c> have in common.</summary>
internal static class NetWords
{
    private const int LinkSeconds = 5;

    internal static Option<Ipv4Interface> OwnAddress() => new("--address", "-a")
    {
        Description = "The port's own address of IPv4, with its network's prefix: 192.0.2.7/24.",
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
        Description = "The station's address on Ethernet; otherwise the one that the function has.",
        CustomParser = result =>
        {
            if (MacAddress.TryParse(result.Tokens[0].Value, out MacAddress address) && address.IsStation)
                return address;
            result.AddError($"'{result.Tokens[0].Value}' is no station's address: write 02:00:00:00:00:07.");
            return null;
        },
    };

    internal static Option<bool> Poll() => new("--poll") { Description = "Never sleep: one core is taken, and answers come soonest." };

    /// <summary>Reads an address of one host.</summary>
    internal static Ipv4Address ParseHost(ArgumentResult result)
    {
        string word = result.Tokens[0].Value;
        if (!Ipv4Address.TryParse(word, out Ipv4Address address) || !address.IsSingleHost)
            result.AddError($"'{word}' is no host's address: write 192.0.2.1.");
        return address;
    }

    /// <summary>Opens a port and waits a little for its link.</summary>
    internal static IgbPort Open(string address, MacAddress? mac, bool polled, CancellationToken stop)
    {
        IgbPort port = new(VfioDevice.Open(address), new IgbOptions { Address = mac, Interrupts = !polled });
        try
        {
            WaitForLink(port, TimeSpan.FromSeconds(LinkSeconds), stop);
            return port;
        }
        catch
        {
            port.Dispose();
            throw;
        }
    }

    /// <summary>A number for people: 1.2.</summary>
    internal static string Number(double value, string format = "0.0") => value.ToString(format, CultureInfo.InvariantCulture);

    private static void WaitForLink(IEthernetPort port, TimeSpan patience, CancellationToken stop)
    {
        long end = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        while (!port.IsLinkUp)
        {
            if (stop.WaitHandle.WaitOne(20))
                return;
            if (Environment.TickCount64 >= end)
            {
                Console.Error.WriteLine($"vfio: {port.Name} has no link yet; going on");
                return;
            }
        }
    }
}
