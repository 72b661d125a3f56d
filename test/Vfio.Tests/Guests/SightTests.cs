using Vfio.Tests.Pci;

namespace Vfio.Tests.Guests;

/// <summary>What Linux in QEMU sees of a device is what is assigned.</summary>
[Collection(nameof(GuestCollection))]
public sealed class SightTests(GuestFixture guest)
{
    public static TheoryData<string> Models => ["edu", "bench"];

    [Theory]
    [MemberData(nameof(Models))]
    public void Linux_sees_the_config_space_that_is_assigned(string model)
    {
        guest.Need();
        byte[] seen = ReadConfig(model);
        using IVfioDevice device = VfioDevice.Open("model:" + model);
        byte[] config = new byte[(int)device.GetRegion(RegionIndex.Config).Length];
        device.ReadRegion(RegionIndex.Config, 0, config);
        Assert.Equal(config.Length, seen.Length);

        // What Linux sets: COMMAND, cache line and latency, BARs, the interrupt line, and the address and data of edu's MSI.
        foreach (Range written in new[] { 0x04..0x06, 0x0c..0x0e, 0x10..0x28, 0x3c..0x3d, model == "edu" ? 0x44..0x4e : 0..0 })
        {
            seen.AsSpan(written).Clear();
            config.AsSpan(written).Clear();
        }

        Assert.Equal(Convert.ToHexString(config), Convert.ToHexString(seen));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void In_the_guest_lspci_sees_what_the_show_command_shows(string model)
    {
        GuestAgent agent = guest.Need();
        Lspci.SkipUnlessThere();
        VfioCommand.Result shown = VfioCommand.Run("show", "model:" + model);
        Assert.Equal(0, shown.ExitCode);
        string[] seen = Essence(agent.Do($"chroot /host {Lspci.Program} -D -vvv -s {AddressOf(model)}"));
        string[] config = Essence(shown.Output);
        Assert.Equal([$"{AddressOf(model)} {config[0]}", .. config[1..]], seen);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Linux_sizes_the_BARs_as_they_are(string model)
    {
        GuestAgent agent = guest.Need();
        string[] resources = agent.Do("cat " + PathOf(model, "resource")).Split('\n');
        using IVfioDevice device = VfioDevice.Open("model:" + model);
        for (int bar = 0; bar < 6; bar++)
        {
            ulong[] ends = [.. resources[bar].Split(' ').Select(word => Convert.ToUInt64(word, 16))];
            ulong length = ends[1] == 0 ? 0 : ends[1] - ends[0] + 1;
            Assert.Equal(device.GetRegion(new RegionIndex((uint)bar)).Length, length);
        }
    }

    private string AddressOf(string model) => model == "edu" ? guest.Edu : guest.Bench;

    private string PathOf(string model, string file) => $"/sys/bus/pci/devices/{AddressOf(model)}/{file}";

    private byte[] ReadConfig(string model) =>
        Convert.FromHexString(guest.Need().Do($"od -An -v -tx1 {PathOf(model, "config")} | tr -d ' \\n'; echo"));

    /// <summary>Lines without what Linux sets, and without what is known of an assigned device only.</summary>
    private static string[] Essence(string text)
    {
        string[] set = ["Control:", "Latency:", "Interrupt:", "Region ", "Address:", "IOMMU group:", "Kernel driver"];
        return
        [
            .. text.Split('\n').TakeWhile(line => !line.StartsWith("\tVFIO ", StringComparison.Ordinal))
                .Where(line => line.Length > 0 && !set.Any(start => line.TrimStart().StartsWith(start, StringComparison.Ordinal))),
        ];
    }
}
