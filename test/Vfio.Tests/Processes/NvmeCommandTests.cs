using System.Security.Cryptography;
using System.Text.Json;
using Xunit;

namespace Vfio.Tests.Processes;

/// <summary><c>vfio nvme</c> as a user runs it, on a disk that is a file.</summary>
public sealed class NvmeCommandTests : IDisposable
{
    private const int DiskBytes = 4 << 20;
    private readonly string _image = Path.GetTempFileName();
    private readonly string _other = Path.GetTempFileName();

    public NvmeCommandTests() => File.WriteAllBytes(_image, RandomNumberGenerator.GetBytes(DiskBytes));

    private string Disk => "model:nvme?image=" + _image;

    [Fact]
    public void Identify_shows_the_controller_and_its_namespaces()
    {
        string text = VfioCommand.Run("nvme", Disk, "identify").Output;
        Assert.Matches("Vfio software NVMe disk, serial VFIO[0-9A-F]{16}, firmware 2.0", text);
        Assert.Contains("4194304", text);

        using JsonDocument json = JsonDocument.Parse(VfioCommand.Run("nvme", Disk, "identify", "--json").Output);
        Assert.Equal("2.0.0", json.RootElement.GetProperty("version").GetString());
        JsonElement disk = Assert.Single(json.RootElement.GetProperty("namespaces").EnumerateArray());
        Assert.Equal((1, DiskBytes, 512), (
            disk.GetProperty("id").GetInt32(), disk.GetProperty("bytes").GetInt32(), disk.GetProperty("blockBytes").GetInt32()));
    }

    [Fact]
    public void Read_copies_what_the_image_holds()
    {
        VfioCommand.Result read = VfioCommand.Run("nvme", Disk, "read", "--offset", "0x1000", "--count", "1048576", "-o", _other);
        Assert.Equal((0, ""), (read.ExitCode, read.Errors));
        Assert.Equal(File.ReadAllBytes(_image)[0x1000..0x101000], File.ReadAllBytes(_other));
        VfioCommand.Run("nvme", Disk, "read", "--count", "0", "-o", _other);
        Assert.Equal(File.ReadAllBytes(_image), File.ReadAllBytes(_other));
    }

    [Fact]
    public void Write_changes_the_image_there_and_nowhere_else()
    {
        byte[] before = File.ReadAllBytes(_image);
        byte[] sent = RandomNumberGenerator.GetBytes(1536);
        File.WriteAllBytes(_other, sent);

        VfioCommand.Result written = VfioCommand.Run("nvme", Disk, "write", _other, "--offset", "1024", "--yes");

        Assert.Equal((0, ""), (written.ExitCode, written.Errors));
        Assert.Contains("wrote 1536 bytes", written.Output);
        Assert.Equal([.. before[..1024], .. sent, .. before[2560..]], File.ReadAllBytes(_image));
    }

    [Fact]
    public void Nothing_is_written_without_a_yes_or_beside_the_disk()
    {
        byte[] before = File.ReadAllBytes(_image);
        File.WriteAllBytes(_other, new byte[1024]);

        VfioCommand.Result unsure = VfioCommand.Run("nvme", Disk, "write", _other);
        Assert.Equal(2, unsure.ExitCode);
        Assert.Contains("--yes", unsure.Errors);
        VfioCommand.Result beyond = VfioCommand.Run("nvme", Disk, "write", _other, "--offset", $"{DiskBytes - 512}", "--yes");
        Assert.Equal(1, beyond.ExitCode);
        Assert.Contains("it has 4194304 bytes", beyond.Errors);
        Assert.Equal(before, File.ReadAllBytes(_image));
    }

    [Fact]
    public void Help_of_a_word_has_the_examples_of_its_verb()
    {
        string help = VfioCommand.Run("nvme", Disk, "bench", "--help").Output;
        Assert.Contains("--depth", help);
        Assert.Contains("vfio nvme 0000:01:00.0 bench", help[help.IndexOf("Examples:", StringComparison.Ordinal)..]);
    }

    [Theory]
    [InlineData("--interrupts")]
    [InlineData("--json")]
    public void Bench_counts_reads_and_their_times(string option)
    {
        VfioCommand.Result bench = VfioCommand.Run("nvme", Disk, "bench", "--depth", "4", "--seconds", "0.2", option);
        Assert.Equal((0, ""), (bench.ExitCode, bench.Errors));
        if (option != "--json")
        {
            Assert.Contains("4 in flight, by interrupt", bench.Output);
            Assert.Contains("us of CPU time a read", bench.Output);
            return;
        }

        using JsonDocument json = JsonDocument.Parse(bench.Output);
        Assert.True(json.RootElement.GetProperty("reads").GetInt64() > 0);
        JsonElement times = json.RootElement.GetProperty("latencyNanoseconds");
        long[] percentiles = [.. times.EnumerateObject().Select(one => one.Value.GetInt64())];
        Assert.Equal(5, percentiles.Length);
        Assert.Equal(percentiles.Order(), percentiles);
    }

    [Fact]
    public void Bench_has_a_depth_of_its_own_when_none_is_said()
    {
        VfioCommand.Result bench = VfioCommand.Run("nvme", Disk, "bench", "--seconds", "0.2");
        Assert.Equal((0, ""), (bench.ExitCode, bench.Errors));
        Assert.Contains("32 in flight", bench.Output);
        Assert.Equal(2, VfioCommand.Run("nvme", Disk, "bench", "--depth", "0").ExitCode);
        Assert.Equal(2, VfioCommand.Run("nvme", Disk, "bench", "--seconds", "0").ExitCode);
    }

    public void Dispose()
    {
        File.Delete(_image);
        File.Delete(_other);
    }
}
