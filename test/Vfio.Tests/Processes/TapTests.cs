using System.Diagnostics;
using System.Text;

namespace Vfio.Tests.Processes;

/// <summary>The model of the 82576 at a network interface of Linux, in a network of its own.</summary>
public sealed class TapTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-tap-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Linux_answers_pings_of_our_driver_through_a_tap()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"), "a tap needs root and /dev/net/tun");
        Assert.SkipUnless(File.Exists("/bin/ip") || File.Exists("/usr/sbin/ip") || File.Exists("/sbin/ip"), "ip(8) is not here");
        string socket = Path.Combine(_folder, "s");
        string serve = $"ip tuntap add vfio0 mode tap && ip addr add 192.0.2.1/24 dev vfio0 && ip link set vfio0 up && "
            + $"exec dotnet '{VfioCommand.Path}' serve 'model:igb?net=tap:vfio0' --socket '{socket}'";
        using Process server = Process.Start(new ProcessStartInfo("unshare", ["-n", "sh", "-c", serve])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        StringBuilder errors = new();
        server.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
        server.BeginErrorReadLine();
        server.BeginOutputReadLine();
        try
        {
            Assert.True(SpinWait.SpinUntil(() => File.Exists(socket) || server.HasExited, HangGuard.Timeout));
            Assert.SkipWhen(server.HasExited, $"no network of its own can be made here: {errors.ToString().Trim().Split('\n')[0]}");
            VfioCommand.Result ping = VfioCommand.Run(
                "net", $"unix:{socket}", "ping", "192.0.2.1", "--address", "192.0.2.7/24", "--count", "20", "--interval", "0.01",
                "--timeout", "60");
            Assert.Contains("20 packets transmitted, 20 received, 0% packet loss", ping.Output);
        }
        finally
        {
            if (!server.HasExited)
                server.Kill();
            server.WaitForExit();
        }
    }
}
