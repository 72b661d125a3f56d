using System.Diagnostics;
using Vfio.Tests.Guests;

namespace Vfio.Tests.Processes;

public sealed class NativeFileTests
{
    [Fact]
    public void The_native_file_plays_the_demo()
    {
        NativeFile.Need();
        using Process process = Process.Start(new ProcessStartInfo(NativeFile.Path, ["demo"]) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Contains("Every step succeeded", output);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void The_native_file_drives_a_device_in_a_guest_that_has_no_net()
    {
        GuestParts.Need();
        NativeFile.Need();
        using GuestMachine machine = new("", [.. GuestMachine.HostFiles]);

        // Files of .NET are out of its sight: they are under an empty folder.
        string runtime = Path.GetFullPath("../../..", System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory());
        machine.Agent.Do($"mount -t tmpfs none /host{runtime}");
        Assert.Equal("0x010000ed", machine.Agent.Do($"TMPDIR=/run chroot /host {NativeFile.Path} peek model:edu bar0 0 2>&1"));
        Assert.Equal(0, machine.PowerOff());
    }
}
