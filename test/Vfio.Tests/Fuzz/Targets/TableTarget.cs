using Vfio.Cli.Show;
using Vfio.Native;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A self-describing table: parsed and shown.</summary>
internal static class TableTarget
{
    public static void Run(byte[] bytes)
    {
        DeviceTable table;
        try
        {
            table = DeviceTable.Parse(bytes);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.InvalidArgument)
        {
            return;
        }

        _ = table.Regions.Count + table.Interrupts.Count + table.Info.RegionCount + table.Name.Length;
        Assert.DoesNotContain(TableText.Lines(table), line => line.Any(char.IsControl));
    }
}
