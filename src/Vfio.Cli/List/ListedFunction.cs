using Vfio.Cli.Show;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Cli.List;

/// <summary>A function of this machine, and the facts that decide whether it can be assigned.</summary>
/// <param name="Function">The function.</param>
/// <param name="Vendor">Vendor ID.</param>
/// <param name="Device">Device ID.</param>
/// <param name="Viability">Whether its group is viable.</param>
/// <param name="Report">Whether it is well-behaved by itself, whatever its group.</param>
/// <param name="Plan">What binding it would mean.</param>
internal sealed record ListedFunction(
    KernelFunction Function, ushort Vendor, ushort Device, Finding Viability, WellBehavedReport Report, BindPlan Plan)
{
    private BindStep Itself => Plan.Members.Single(member => member.Function.Address == Function.Address);

    /// <summary>What this machine uses it for; it cannot be assigned then.</summary>
    internal IReadOnlyList<string> Uses => Itself.Uses;

    /// <summary>Its driver.</summary>
    internal string? Driver => Itself.Driver;

    /// <summary>To whom it is assigned; null when it is not.</summary>
    internal FunctionAssignment? Assignment => Itself.Assignment;

    /// <summary>Its state: assigned, assignable or not assignable.</summary>
    internal string State => Assignment is not null ? "assigned" : Plan.Obstacle is null ? "assignable" : "not assignable";

    /// <summary>Why it is not assignable, or cannot be used although it is assigned; null when nothing is wrong.</summary>
    internal string? Why => Assignment is not null
        ? Viability.Answer == Answer.No ? Viability.Reason : null
        : Plan.Obstacle is { } obstacle
            ? obstacle.Function == Function.Address ? obstacle.Reason : $"{obstacle.Function} of its group: {obstacle.Reason}"
            : null;

    internal string Class => FunctionView.Names.Class((ushort)(Function.ClassCode >> 8));

    internal string Ids => $"{Vendor:x4}:{Device:x4}";

    internal string Name => FunctionView.Names.Device(Vendor, Device);

    /// <summary>A short name for a table: the device without its vendor, or its class.</summary>
    internal string ShortName => FunctionView.Names.DeviceAlone(Vendor, Device) ?? Class;

    /// <summary>The other functions of its group, with their drivers.</summary>
    internal IReadOnlyList<(PciAddress Address, string? Driver)> Others { get; private init; } = [];

    /// <summary>All functions of this machine. One that is unplugged meanwhile is left out.</summary>
    internal static IReadOnlyList<ListedFunction> All(KernelPaths paths) =>
        [.. new DeviceBinder(paths).PlanAll(new PciTopology(paths.Sysfs).Functions).Select(planned => TryOf(planned.Function, planned.Plan)).OfType<ListedFunction>()];

    /// <summary>One function.</summary>
    internal static ListedFunction Of(KernelFunction function, BindPlan plan)
    {
        Finding viability = function.GroupViability;
        WellBehavedReport itself = new([.. function.Check().Findings.Where(verdict => verdict.Question != viability.Question)]);
        return new ListedFunction(function, function.VendorId, function.DeviceId, viability, itself, plan)
        {
            Others = [.. plan.Members.Where(member => member.Function.Address != function.Address)
                .Select(member => (member.Function.Address, member.Driver))],
        };
    }

    private static ListedFunction? TryOf(KernelFunction function, BindPlan plan)
    {
        try
        {
            return Of(function, plan);
        }
        catch (VfioException gone) when (gone.Errno == Errno.NoDevice)
        {
            return null;
        }
    }
}
