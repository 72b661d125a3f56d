using Vfio.Native;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A self-describing table: parsed, and its records walked.</summary>
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
        Walk(table.Records);
    }

    private static void Walk(IEnumerable<DeviceTableRecord> records)
    {
        foreach (DeviceTableRecord record in records)
        {
            if (record.Text.Any(char.IsControl) || record.Type.Any(char.IsControl))
                throw new InvalidOperationException("a text that is not printable");
            Walk(record.Records);
        }
    }
}
