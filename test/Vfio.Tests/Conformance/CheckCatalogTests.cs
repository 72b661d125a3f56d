using System.Text.Json;
using Vfio.Conformance;

namespace Vfio.Tests.Conformance;

/// <summary>The checks as a table: each can be named, and says what it tests.</summary>
public sealed class CheckCatalogTests
{
    [Fact]
    public void Names_are_unique_and_say_their_group()
    {
        string[] names = [.. ConformanceKit.Checks.Select(check => check.Name)];
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.All(names, name => Assert.Matches("^[a-z-]+\\.[a-z0-9-]+$", name));
    }

    [Fact]
    public void Every_check_has_a_section_and_a_sentence() => Assert.All(ConformanceKit.Checks, check =>
    {
        Assert.NotEmpty(check.Section);
        Assert.EndsWith(".", check.Rule, StringComparison.Ordinal);
    });

    [Theory]
    [InlineData("version", 15)]
    [InlineData("version-data", 25)]
    [InlineData("header", 25)]
    [InlineData("stream", 12)]
    [InlineData("no-reply", 15)]
    [InlineData("device-info", 10)]
    [InlineData("region-info", 18)]
    [InlineData("irq-info", 10)]
    [InlineData("set-irqs", 45)]
    [InlineData("signal", 8)]
    [InlineData("dma-map", 35)]
    [InlineData("dma-unmap", 20)]
    [InlineData("region-read", 25)]
    [InlineData("region-write", 20)]
    [InlineData("write-multi", 14)]
    [InlineData("region-io-fds", 9)]
    [InlineData("dma-transfer", 15)]
    [InlineData("reset", 6)]
    [InlineData("feature", 25)]
    [InlineData("migration", 22)]
    [InlineData("descriptors", 11)]
    [InlineData("disconnect", 6)]
    public void Every_command_has_its_checks(string group, int least) =>
        Assert.InRange(ConformanceKit.Checks.Count(check => check.Group == group), least, 200);

    [Fact]
    public void The_list_is_printed_for_people_and_for_machines()
    {
        VfioCommand.Result text = VfioCommand.Run("check", "--list", "--only", "dma-map.");
        Assert.Equal(0, text.ExitCode);
        Assert.Contains("dma-map.overlap-head", text.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("set-irqs", text.Output, StringComparison.Ordinal);

        using JsonDocument list = JsonDocument.Parse(VfioCommand.Run("check", "--list", "--json").Output);
        Assert.Equal(
            ConformanceKit.Checks.Select(check => check.Name),
            list.RootElement.EnumerateArray().Select(check => check.GetProperty("check").GetString()));
    }

    [Fact]
    public void A_word_that_no_check_has_is_refused()
    {
        VfioCommand.Result result = VfioCommand.Run("check", "unix:/nowhere", "--only", "no-such-word");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("no check has that word", result.Errors, StringComparison.Ordinal);
    }
}
