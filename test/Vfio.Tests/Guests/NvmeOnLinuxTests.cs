using System.Security.Cryptography;

namespace Vfio.Tests.Guests;

/// <summary>The NVMe driver inside Linux, on the kernel's own VFIO behind an emulated IOMMU and on QEMU's own disk: what it writes is
/// in the disk's file, and what the file holds is what it reads.</summary>
[Collection(nameof(GuestCollection))]
public sealed class NvmeOnLinuxTests : IDisposable
{
    private const string Disk = "0000:00:10.0";
    private const int DiskBytes = 16 << 20;
    private const int WrittenAt = 4096, ReadAt = 8 << 20, ReadBytes = 1 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-nvme-").FullName;

    [Fact]
    public void What_the_driver_writes_in_the_guest_is_in_the_hosts_file()
    {
        GuestParts.Need();
        byte[] before = RandomNumberGenerator.GetBytes(DiskBytes);
        byte[] sent = RandomNumberGenerator.GetBytes(3 << 20);
        string image = Put("disk.img", before);
        string pattern = Put("pattern.bin", sent);
        using (GuestMachine machine = new(
            "",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-drive", $"file={image},if=none,id=disk,format=raw", "-device", "nvme,drive=disk,serial=1,addr=0x10",
            .. GuestMachine.HostFiles]))
        {
            GuestAgent agent = machine.Agent;
            agent.Do($"echo {Disk} > /sys/bus/pci/devices/{Disk}/driver/unbind");
            agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{Disk}/driver_override");
            agent.Do($"echo {Disk} > /sys/bus/pci/drivers_probe");

            Assert.Contains("QEMU NVMe Ctrl", Vfio(agent, "identify"));
            Assert.Contains($"wrote {sent.Length} bytes", Vfio(agent, $"write {pattern} --offset {WrittenAt} --yes"));
            Vfio(agent, $"read --offset {ReadAt} --count {ReadBytes} --output /run/read.bin");
            string read = agent.Do("sha256sum /run/read.bin").Split(' ')[0];
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(before.AsSpan(ReadAt, ReadBytes))), read);
            Assert.Equal(0, machine.PowerOff());
        }

        sent.CopyTo(before.AsSpan(WrittenAt));
        Assert.Equal(SHA256.HashData(before), SHA256.HashData(File.ReadAllBytes(image)));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Vfio(GuestAgent agent, string words) =>
        agent.Do(VfioInGuest.Command($"nvme {Disk} {words}"));

    private string Put(string name, byte[] bytes)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
