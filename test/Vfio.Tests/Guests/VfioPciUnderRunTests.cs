namespace Vfio.Tests.Guests;

/// <summary>QEMU's vfio-pci under <c>vfio run</c>: Linux in a virtual machine drives our model through it.</summary>
public sealed class VfioPciUnderRunTests
{
    [Theory]
    [InlineData]
    [InlineData("--no-mmap")]
    public void Linux_in_QEMU_writes_to_our_disk_and_reads_it_back(params string[] options)
    {
        GuestParts.Need();
        string[] launcher = ["dotnet", VfioCommand.Path, "run", "--device", "model:nvme?size=32M", .. options, "--"];
        using GuestMachine machine = new(launcher, "", ["-machine", "q35", "-device", "vfio-pci,host=0000:01:00.0"]);
        GuestAgent agent = machine.Agent;
        agent.WaitFor("test -b /dev/nvme0n1");
        agent.Do("dd if=/dev/urandom of=/tmp/sent bs=64k count=16 2>/dev/null; dd if=/tmp/sent of=/dev/nvme0n1 bs=64k 2>/dev/null; sync");
        agent.Do("echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/nvme0n1 bs=64k count=16 2>/dev/null | cmp - /tmp/sent");
        Assert.Contains("MSI", agent.Do("grep nvme0q /proc/interrupts | tail -n 1"));
        Assert.Equal(0, machine.PowerOff());
    }
}
