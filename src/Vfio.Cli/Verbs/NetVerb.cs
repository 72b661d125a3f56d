using System.CommandLine;
using Vfio.Cli.Net;
using Vfio.Cli.Numbers;

namespace Vfio.Cli.Verbs;

/// <summary>Drives a port of an Ethernet controller.</summary>
internal sealed class NetVerb() : Verb("net", "Drive an 82576's port, or a virtual function of one: echo, ping, capture.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio net 0000:01:00.0 echo --address 192.0.2.7/24", "answer ARP, ping and UDP echo until Ctrl-C"),
        new("vfio net 0000:01:10.0 ping 192.0.2.1 --address 192.0.2.7/24 --count 10", "from a virtual function: loss and times"),
        new("vfio net 0000:01:00.0 ping 192.0.2.1 --address 192.0.2.7/24 -c 100000 -i 0 -q", "as fast as the answers come"),
        new("vfio net 0000:01:00.0 capture trace.pcapng --promiscuous --seconds 60", "a minute of all frames"),
        new("vfio net 0000:01:00.0 capture - | tcpdump -n -r -", "watch live; for Wireshark: | wireshark -k -i -"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(EchoCommand.Create(address, timeout));
        command.Add(PingCommand.Create(address, timeout));
        command.Add(CaptureCommand.Create(address, timeout));
    }
}
