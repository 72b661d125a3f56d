using System.Globalization;

namespace Vfio.Tests.Guests;

/// <summary>What Linux in QEMU sees of a device is what is lent.</summary>
[Collection(nameof(GuestCollection))]
public sealed class SightTests(GuestFixture guest)
{
    public static TheoryData<string> Models => ["edu", "bench"];

    [Theory]
    [MemberData(nameof(Models))]
    public void Linux_sees_the_config_space_that_is_lent(string model)
    {
        GuestAgent agent = guest.Need();
        byte[] seen = Convert.FromHexString(agent.Do($"od -An -v -tx1 {PathOf(model, "config")} | tr -d ' \\n'; echo"));
        using IVfioDevice device = VfioDevice.Open("model:" + model);
        byte[] lent = new byte[(int)device.GetRegion(RegionIndex.Config).Length];
        device.ReadRegion(RegionIndex.Config, 0, lent);
        Assert.Equal(lent.Length, seen.Length);

        // What Linux sets: COMMAND, STATUS's cause, cache line and latency, BARs, the interrupt line.
        foreach (Range written in new[] { 0x04..0x06, 0x0c..0x0e, 0x10..0x28, 0x3c..0x3d })
        {
            seen.AsSpan(written).Clear();
            lent.AsSpan(written).Clear();
        }

        Assert.Equal(Convert.ToHexString(lent), Convert.ToHexString(seen));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Linux_lists_what_the_show_command_shows(string model)
    {
        GuestAgent agent = guest.Need();
        string dump = Path.GetTempFileName();
        try
        {
            File.WriteAllText(dump, $"{AddressOf(model)} x\n" + agent.Do($"od -Ax -v -tx1 {PathOf(model, "config")}"));
            Assert.Equal(Essence("model:" + model), Essence("--from", dump));
        }
        finally
        {
            File.Delete(dump);
        }

        string listed = agent.Do("lspci").Split('\n').Single(line => line.StartsWith(AddressOf(model)[5..], StringComparison.Ordinal));
        Assert.EndsWith(model == "edu" ? "1234:11e8" : "5646:5542", listed);
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
            ulong[] words = [.. resources[bar].Split(' ').Select(word => ulong.Parse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
            ulong length = words[1] == 0 ? 0 : words[1] - words[0] + 1;
            Assert.Equal(device.GetRegion(new RegionIndex((uint)bar)).Length, length);
        }
    }

    private string AddressOf(string model) => model == "edu" ? guest.Edu : guest.Bench;

    private string PathOf(string model, string file) => $"/sys/bus/pci/devices/{AddressOf(model)}/{file}";

    /// <summary>What <c>vfio show</c> says, without what Linux sets and what a dump cannot say.</summary>
    private static string Essence(params string[] words)
    {
        VfioCommand.Result shown = VfioCommand.Run(["show", .. words]);
        Assert.Equal(0, shown.ExitCode);
        return shown.Output;
    }
}
