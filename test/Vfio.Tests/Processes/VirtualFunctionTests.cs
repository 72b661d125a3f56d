using System.Diagnostics;

namespace Vfio.Tests.Processes;

/// <summary>A port with virtual functions as its users have it: each function in a process of its own.</summary>
public sealed class VirtualFunctionTests
{
    [Fact]
    public void Drivers_in_three_processes_ping_through_the_switch_of_a_served_port()
    {
        using ServerProcess server = ServerProcess.Of("model:igb?vfs=2");
        using Process physical = VfioCommand.Start("net", $"unix:{server.SocketPath}", "echo", "--address", "192.0.2.1/24");
        try
        {
            Assert.Contains("192.0.2.1", physical.StandardOutput.ReadLine());
            for (int number = 0; number < 2; number++)
            {
                VfioCommand.Result ping = VfioCommand.Run(
                    "net", $"unix:{server.SocketPath}.vf{number}", "ping", "192.0.2.1", "--address", $"192.0.2.{7 + number}/24",
                    "--count", "20", "--interval", "0.01", "--timeout", "60");
                Assert.True(ping.Output.Contains("20 packets transmitted, 20 received, 0% packet loss", StringComparison.Ordinal), ping.Output + ping.Errors);
            }
        }
        finally
        {
            physical.Kill();
            physical.WaitForExit();
        }
    }

    [Theory]
    [InlineData("--clients", "2")]
    [InlineData("--handover", "/tmp/nowhere/next")]
    public void What_a_served_port_with_them_cannot_be_combined_with_is_said_in_one_line(string option, string value)
    {
        VfioCommand.Result result = VfioCommand.Run("serve", "model:igb?vfs=2", "--socket", $"/tmp/{Guid.NewGuid():n}", option, value);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Single(result.Errors.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_program_of_a_run_finds_each_at_its_address()
    {
        const string Look = "cd /sys/bus/pci/devices; for f in *; do echo $f $(cat $f/vendor $f/device); done; "
            + "cat 0000:01:00.0/sriov_numvfs; readlink -f 0000:01:00.0/virtfn1 0000:02:10.0/physfn; ls -d /dev/vfio/[0-9]*";
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "model:igb?vfs=2", "--device", "model:edu", "--", "sh", "-c", Look);
        Assert.Equal(
            ["0000:01:00.0 0x8086 0x10c9", "0000:02:10.0 0x8086 0x10ca", "0000:02:10.2 0x8086 0x10ca", "0000:03:00.0 0x1234 0x11e8", "2",
            "/sys/devices/pci0000:02/0000:02:10.2", "/sys/devices/pci0000:01/0000:01:00.0", "/dev/vfio/1", "/dev/vfio/2", "/dev/vfio/3", "/dev/vfio/4"],
            result.Output.TrimEnd().Split('\n'));
    }

    [Fact]
    public void An_address_without_room_for_them_is_refused()
    {
        VfioCommand.Result result = VfioCommand.Run("run", "--device", "0000:ff:00.0=model:igb?vfs=2", "--", "true");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("last bus", result.Errors);
    }
}
