using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>The state of a function that binding changes, before or after.</summary>
/// <param name="Driver">Its driver; null for none.</param>
/// <param name="Override">Its driver override; null for none.</param>
/// <param name="Record">Its record in <see cref="KernelPaths.Records"/>; null for none.</param>
/// <param name="Persisted">Its file in <see cref="KernelPaths.Overrides"/>; null for none.</param>
/// <param name="Owners">Owner and group of each of its files, by <see cref="RoleOf"/>.</param>
internal sealed record FunctionState(
    string? Driver, string? Override, byte[]? Record, byte[]? Persisted, IReadOnlyDictionary<string, (uint User, uint Group)> Owners)
{
    /// <summary>The present state.</summary>
    internal static FunctionState Of(KernelPaths paths, IBindingSystem system, KernelFunction function)
    {
        Dictionary<string, (uint, uint)> owners = [];
        foreach ((string path, _) in FunctionNodes.Of(paths, function))
        {
            if (system.StatusOf(path, follow: false) is { } status)
                owners[RoleOf(path)] = (status.UserId, status.GroupId);
        }

        return new FunctionState(
            function.Driver,
            function.DriverOverride,
            system.ReadRecord(paths.Records, BindRecord.NameOf(function.Address)),
            system.ReadRecord(paths.Overrides, OverrideNameOf(function)),
            owners);
    }

    /// <summary>Name of the file that driverctl reads.</summary>
    internal static string OverrideNameOf(KernelFunction function) => $"pci-{function.Address}";

    /// <summary>Applies the state to a function. Every part is tried, even when an earlier one failed; equal parts are not written.</summary>
    /// <exception cref="VfioException">The first refusal.</exception>
    internal void Restore(KernelPaths paths, IBindingSystem system, KernelFunction function)
    {
        FirstRefusal steps = new();
        steps.Try(() => RestoreDriver(system, function));
        steps.Try(() => SetOverride(system, function, Override));
        steps.Try(() => RestoreOwners(paths, system, function));
        steps.Try(() => WriteWhereOther(system, paths.Overrides, OverrideNameOf(function), Persisted));

        // Last, because the record is needed to try again.
        if (steps.IsNone)
            steps.Try(() => WriteWhereOther(system, paths.Records, BindRecord.NameOf(function.Address), Record));
        steps.ThrowIfAny();
    }

    /// <summary>Sets the driver override; null removes it.</summary>
    internal static void SetOverride(IBindingSystem system, KernelFunction function, string? driver)
    {
        if (function.DriverOverride != driver)
            system.WriteAttribute(function, "driver_override", driver ?? "\n");
    }

    /// <summary>Binds a driver to a function, even one that does not match its ids: an override names it while the kernel probes.</summary>
    private void RestoreDriver(IBindingSystem system, KernelFunction function)
    {
        if (function.Driver == Driver)
            return;
        if (function.Driver is not null)
            system.WriteAttribute(function, KernelFunction.UnbindName, function.Address.ToString());
        if (Driver is null)
            return;
        SetOverride(system, function, Driver);
        system.WriteAttribute(function, KernelFunction.ProbeName, function.Address.ToString());
    }

    /// <summary>Which of a function's files it is: its own, which may have another number when it is bound again, or its group's.</summary>
    private static string RoleOf(string node) => Path.GetFileName(Path.GetDirectoryName(node)!);

    private void RestoreOwners(KernelPaths paths, IBindingSystem system, KernelFunction function)
    {
        foreach ((string path, DeviceNumber? number) in FunctionNodes.Of(paths, function))
        {
            if (Owners.TryGetValue(RoleOf(path), out (uint User, uint Group) owner)
                && system.StatusOf(path, follow: false) is { } status && (status.UserId, status.GroupId) != owner)
            {
                system.ChangeOwner(path, number ?? default, owner.User, owner.Group);
            }
        }
    }

    private static void WriteWhereOther(IBindingSystem system, string folder, string name, byte[]? content)
    {
        byte[]? present = system.ReadRecord(folder, name);
        if (!(present ?? []).AsSpan().SequenceEqual(content ?? []) || present is null != content is null)
            system.WriteRecord(folder, name, content);
    }
}
