using Vfio.Cli.Show;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.List;

/// <summary>A function of this machine, and all that lending it asks for.</summary>
/// <param name="Function">The function.</param>
/// <param name="Vendor">Vendor ID.</param>
/// <param name="Device">Device ID.</param>
/// <param name="Viability">Whether its group is viable.</param>
/// <param name="Report">Whether it is well-behaved by itself, whatever its group.</param>
/// <param name="Uses">What this machine uses it for; it is not lent then.</param>
internal sealed record ListedFunction(
    KernelFunction Function, ushort Vendor, ushort Device, Verdict Viability, WellBehavedReport Report, IReadOnlyList<string> Uses)
{
    internal string Class => FunctionView.Names.Class((ushort)(Function.ClassCode >> 8));

    internal string Ids => $"{Vendor:x4}:{Device:x4}";

    internal string Name => FunctionView.Names.Device(Vendor, Device);

    /// <summary>What there is room for in a table: the device without its vendor, or what kind it is.</summary>
    internal string ShortName => FunctionView.Names.DeviceAlone(Vendor, Device) ?? Class;

    /// <summary>The other functions of its group, with their drivers.</summary>
    internal IReadOnlyList<(PciAddress Address, string? Driver)> Others { get; private init; } = [];

    /// <summary>All functions of this machine. One that is unplugged meanwhile is left out.</summary>
    internal static IReadOnlyList<ListedFunction> All(KernelPaths paths) =>
        [.. new PciTopology(paths.Sysfs).Functions.Select(function => TryOf(function, paths)).OfType<ListedFunction>()];

    /// <summary>One function.</summary>
    internal static ListedFunction Of(KernelFunction function, KernelPaths paths)
    {
        Verdict viability = function.GroupViability;
        WellBehavedReport itself = new([.. function.Judge().Verdicts.Where(verdict => verdict.Question != viability.Question)]);
        LendPlan plan = new Lender(paths).Plan(function.Address);
        return new ListedFunction(
            function, function.VendorId, function.DeviceId, viability, itself,
            plan.Members.Single(member => member.Function.Address == function.Address).Uses)
        {
            Others = [.. plan.Members.Where(member => member.Function.Address != function.Address)
                .Select(member => (member.Function.Address, member.Function.Driver))],
        };
    }

    private static ListedFunction? TryOf(KernelFunction function, KernelPaths paths)
    {
        try
        {
            return Of(function, paths);
        }
        catch (VfioException gone) when (gone.Errno == Errno.NoDevice)
        {
            return null;
        }
    }
}
