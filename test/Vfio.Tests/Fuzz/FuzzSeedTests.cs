using Vfio.Tests.Fuzz.Targets;

namespace Vfio.Tests.Fuzz;

/// <summary>What the coverage-guided fuzzers start from, and what they have found: every target takes every one of its seeds.</summary>
/// <remarks>A find becomes a file in <c>seeds</c>, named after what it was.</remarks>
public sealed class FuzzSeedTests
{
    private static string Folder => Repository.PathOf("test", "Vfio.Tests", "Fuzz", "seeds");

    public static TheoryData<string> Targets() => [.. FuzzTargets.All.Keys];

    [Theory]
    [MemberData(nameof(Targets))]
    public void A_target_takes_all_its_seeds(string target)
    {
        string[] seeds = Directory.GetFiles(Path.Combine(Folder, target));
        Assert.NotEmpty(seeds);
        Assert.All(seeds, seed => FuzzTargets.All[target](File.ReadAllBytes(seed)));
    }

    [Fact]
    public void Seeds_are_small() =>
        Assert.InRange(Directory.GetFiles(Folder, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length), 1, 300 << 10);
}
