using System.Security.Cryptography;
using System.Text.Json;
using Vfio.Devices;

namespace Vfio.Tests.Guests;

/// <summary>Linux's own NVMe driver in a guest, on several drives of software at once.</summary>
public sealed class NvmeDrivesTests : IDisposable
{
    private const int Drives = 8;
    private const int ImageBytes = 16 << 20;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-drives-").FullName;
    private readonly List<AssignedDevice> _devices = [];

    [Fact]
    public void Eight_drives_live_in_one_guest_each_with_what_is_written_to_it()
    {
        GuestParts.Need();
        string[] images = [.. Enumerable.Range(0, Drives).Select(index => Path.Combine(_folder, $"disk{index}"))];
        foreach (string image in images)
        {
            File.WriteAllBytes(image, RandomNumberGenerator.GetBytes(ImageBytes));
            _devices.Add(AssignedDevice.Of(ModelCatalog.Create("nvme", new Dictionary<string, string> { ["image"] = image })));
        }

        using GuestMachine machine = new(
            "-object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem",
            ["-machine", "q35", .. _devices.SelectMany(device => new[] { "-device", QemuDevice(device.SocketPath) })]);
        GuestAgent agent = machine.Agent;
        agent.WaitFor($"test $(ls -d /sys/class/nvme/nvme*/nvme*n1 | wc -l) = {Drives}");
        Assert.DoesNotContain("Duplicate", agent.Do("dmesg"));
        Assert.DoesNotContain("Ignoring bogus", agent.Do("dmesg"));

        // The kernel takes the UUID for the name of a block device.
        string[] names = agent.Do("cat /sys/class/nvme/nvme*/nvme*n1/wwid").Split('\n');
        Assert.Equal(Drives, names.Distinct().Count());
        Assert.All(names, name => Assert.StartsWith("uuid.", name));
        for (int drive = 0; drive < Drives; drive++)
        {
            string node = $"/dev/nvme{drive}n1";
            string sum = agent.Do($"sha256sum {node}").Split(' ')[0];
            string image = Assert.Single(images, one => Sum(one) == sum);
            agent.Do($"dd if=/dev/urandom of={node} bs=1M count=4 seek=2 conv=fsync 2>/dev/null");
            Assert.Equal(agent.Do($"sha256sum {node}").Split(' ')[0], Sum(image));
        }

        Assert.Equal(0, machine.PowerOff());
    }

    public void Dispose()
    {
        _devices.ForEach(device => device.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private static string Sum(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));

    private static string QemuDevice(string path) =>
        JsonSerializer.Serialize(new { driver = "vfio-user-pci", socket = new { path, type = "unix" } });
}
