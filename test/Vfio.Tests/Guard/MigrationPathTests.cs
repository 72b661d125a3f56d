using Vfio.Providers;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>The steps between migration states: every pair, against a search that knows only the arcs of linux/vfio.h and the rules.</summary>
public sealed class MigrationPathTests
{
    // vfio-user, "Direct State Transitions".
    private static readonly (int From, int To)[] Arcs = [(2, 1), (3, 1), (4, 1), (6, 2), (1, 2), (2, 6), (1, 3), (6, 3), (1, 4)];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_pair_takes_the_shortest_way_past_no_saving_state(bool hasPreCopy)
    {
        MigrationFeatures features = hasPreCopy ? (MigrationFeatures)5 : (MigrationFeatures)1;
        (int From, int To)[] arcs = [.. Arcs.Where(arc => hasPreCopy || (arc.From != 6 && arc.To != 6))];
        int ways = 0;
        for (int from = 0; from <= 8; from++)
        {
            for (int to = 0; to <= 8; to++)
            {
                if (from == to)
                    continue;
                List<int>? expected = from == 3 && to == 6 ? null : Search(arcs, from, to);
                Assert.Equal(expected is null ? "none" : string.Join(' ', expected), Walk(from, to, features));
                ways += expected is null ? 0 : 1;
            }
        }

        Assert.Equal(hasPreCopy ? 19 : 12, ways);
    }

    [Fact]
    public void A_device_that_cannot_be_migrated_has_no_way_out_of_running()
    {
        for (int to = 0; to <= 8; to++)
            Assert.False(MigrationPath.TryStep(MigrationState.Running, (MigrationState)to, MigrationFeatures.None, out _));
    }

    [Fact]
    public void The_states_have_the_kernels_numbers() => Assert.Equal(
        [0, 1, 2, 3, 4, 5, 6, 7],
        new[]
        {
            MigrationState.Error, MigrationState.Stop, MigrationState.Running, MigrationState.StopCopy, MigrationState.Resuming,
            MigrationState.RunningPeerToPeer, MigrationState.PreCopy, MigrationState.PreCopyPeerToPeer,
        }.Select(state => (int)state));

    private static string Walk(int from, int to, MigrationFeatures features)
    {
        List<int> way = [from];
        while (way[^1] != to)
        {
            if (!MigrationPath.TryStep((MigrationState)way[^1], (MigrationState)to, features, out MigrationState next))
                return "none";
            way.Add((int)next);
            Assert.True(way.Count < 5);
        }

        return string.Join(' ', way);
    }

    /// <summary>Breadth first; STOP_COPY and PRE_COPY only at the ends.</summary>
    private static List<int>? Search((int From, int To)[] arcs, int from, int to)
    {
        Queue<List<int>> ways = new([[from]]);
        while (ways.TryDequeue(out List<int>? way))
        {
            if (way[^1] == to)
                return way;
            if (way.Count > 1 && way[^1] is 3 or 6)
                continue;
            foreach ((int _, int next) in arcs.Where(arc => arc.From == way[^1] && !way.Contains(arc.To)))
                ways.Enqueue([.. way, next]);
        }

        return null;
    }
}
