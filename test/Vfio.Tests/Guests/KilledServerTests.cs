using System.Diagnostics;

namespace Vfio.Tests.Guests;

/// <summary>A guest whose device's server goes away.</summary>
public sealed class KilledServerTests
{
    [Fact]
    public void A_killed_server_hangs_neither_QEMU_nor_the_guest()
    {
        GuestParts.Need();
        using ServerProcess server = new();
        using GuestMachine machine = new($"{server.QemuMemory} {server.QemuDevice}", "-machine", "q35");
        string function = machine.Agent.Do("cd /sys/bus/pci/devices; for f in *; do if grep -q 0x11e8 $f/device; then echo $f; fi; done");
        machine.Agent.Do($"echo 1 > /sys/bus/pci/devices/{function}/enable");
        Assert.Equal(EduInGuest.Identification, machine.Agent.Number($"read {function} 0 0 4"));

        using (Process process = Process.GetProcessById(server.Id))
        {
            process.Kill();
            process.WaitForExit();
        }

        Assert.Equal("running", machine.Monitor.Execute("query-status").GetProperty("status").GetString());
        Assert.NotEqual(EduInGuest.Identification, machine.Agent.Number($"read {function} 0 0 4"));
        machine.Agent.Do($"write {function} 0 4 4 1");
        Assert.Equal("alive", machine.Agent.Do("echo alive"));
        Assert.Equal("running", machine.Monitor.Execute("query-status").GetProperty("status").GetString());
        Assert.Equal(0, machine.PowerOff());
    }
}
