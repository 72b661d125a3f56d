using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Vfio.Tests.Processes;

/// <summary>DPDK's testpmd, unmodified, drives the model of the 82576 under <c>vfio run</c>.</summary>
public sealed partial class DpdkTests
{
    private const string Program = "/usr/bin/dpdk-testpmd";

    [Fact]
    public void Testpmd_forwards_packets_through_the_loop_and_its_counters_are_the_devices()
    {
        Assert.SkipUnless(File.Exists(Program), "dpdk-testpmd is not here: install dpdk-dev");
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "vfio run is for x86-64");
        ProcessStartInfo start = new(
            "dotnet",
            [VfioCommand.Path, "run", "--device", "model:igb?net=loop&mac=02:00:00:00:00:01", "--",
            "stdbuf", "-oL", Program, "-l", "0,1", "--no-huge", "-m", "128", "--no-telemetry", "-a", "0000:01:00.0",
            "--", "-i", "--total-num-mbufs=4096"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process pmd = Process.Start(start)!;
        StringBuilder output = new();
        pmd.OutputDataReceived += (_, line) => Add(output, line.Data);
        pmd.ErrorDataReceived += (_, line) => Add(output, line.Data);
        pmd.BeginOutputReadLine();
        pmd.BeginErrorReadLine();
        try
        {
            Ask(pmd, output, "show port info 0", "Link status: up");
            Assert.Matches("MAC address: 02:00:00:00:00:01", Text(output));
            Assert.Matches("Link speed: 1 Gbps", Text(output));
            pmd.StandardInput.WriteLine("start tx_first");

            // What DPDK calls statistics of the port are the device's registers.
            Assert.True(
                SpinWait.SpinUntil(
                    () =>
                    {
                        Ask(pmd, output, "show port stats 0", "Tx-bps");
                        return Counts(Text(output)).LastOrDefault().Received > 5000;
                    },
                    HangGuard.Timeout),
                Text(output));
            Ask(pmd, output, "stop", "Accumulated forward statistics");
            Ask(pmd, output, "show port stats 0", "Tx-bps");
            pmd.StandardInput.WriteLine("quit");
            Assert.True(pmd.WaitForExit(HangGuard.Timeout), "testpmd does not end");
        }
        finally
        {
            if (!pmd.HasExited)
                pmd.Kill();
            pmd.WaitForExit();
        }

        string text = Text(output);
        Assert.True(pmd.ExitCode == 0, text);
        (long received, long missed, long sent) = Counts(text).Last();
        Assert.True(received > 5000);
        Assert.Equal(sent, received + missed);
    }

    [GeneratedRegex(@"RX-packets: (\d+) +RX-missed: (\d+)[\s\S]*?TX-packets: (\d+)")]
    private static partial Regex PortStatistics();

    private static List<(long Received, long Missed, long Sent)> Counts(string text) =>
        [.. PortStatistics().Matches(text).Select(match => (Number(match, 1), Number(match, 2), Number(match, 3)))];

    private static long Number(Match match, int group) => long.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    private static void Add(StringBuilder output, string? line)
    {
        lock (output)
            output.AppendLine(line);
    }

    private static string Text(StringBuilder output)
    {
        lock (output)
            return output.ToString();
    }

    // Asks, and waits until its answer ends with what is expected.
    private static void Ask(Process pmd, StringBuilder output, string command, string expected)
    {
        int before = Text(output).Length;
        pmd.StandardInput.WriteLine(command);
        Assert.True(
            SpinWait.SpinUntil(
                () => Text(output)[before..].Contains(expected, StringComparison.Ordinal) || pmd.HasExited, HangGuard.Timeout),
            Text(output));
    }
}
