using Vfio.Run;
using Vfio.Run.Interface;

namespace Vfio.Tests.Run;

/// <summary>What is kept of many findings: docs/run.md says 100 of a kind.</summary>
public sealed class FindingListTests
{
    [Fact]
    public void Many_of_one_kind_leave_room_for_those_of_another()
    {
        FindingList list = new();
        for (ulong page = 0; page < 1000; page++)
        {
            list.AddUnmapped(isWrite: true, 1, page << 12, 4);
            list.AddFault("0000:01:00.0", isWrite: true, page << 12, 4, isMaster: true);
        }

        Assert.Equal(100, list.Findings.Count(finding => finding.Kind == RunFindingKind.Unmapped));
        Assert.DoesNotContain(list.Findings, finding => finding.Kind == RunFindingKind.DmaFault);
        list.AddFault("0000:01:00.0", isWrite: true, 0, 4, isMaster: true);
        Assert.Single(list.Findings, finding => finding.Kind == RunFindingKind.DmaFault);
    }
}
