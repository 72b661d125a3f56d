using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Waiting;
using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>Binds functions of this machine to vfio-pci to assign them to users, and releases them.</summary>
/// <remarks>
/// <para>Root only. It uses <c>driver_override</c> and <c>drivers_probe</c>, which affect one function, and not <c>new_id</c>, which affects
/// every function with these ids, now and later.</para>
/// <para>All known obstacles are checked before the first change. If a change fails, those before it are undone, in reverse order.
/// Members may be called from any thread. EAGAIN if another process binds or releases at the same time.</para>
/// </remarks>
internal sealed class DeviceBinder
{
    internal const string VfioDriver = "vfio-pci";
    private readonly KernelPaths _paths;
    private readonly IBindingSystem _system;

    /// <summary>Makes one.</summary>
    /// <param name="paths">Mount points of sysfs, procfs and devtmpfs; null for the usual ones.</param>
    internal DeviceBinder(KernelPaths? paths = null)
        : this(paths ?? new KernelPaths(), new LinuxBindingSystem())
    {
    }

    internal DeviceBinder(KernelPaths paths, IBindingSystem system)
    {
        _paths = paths;
        _system = system;
    }

    private PciTopology Topology => new(_paths.Sysfs);

    /// <summary>What <see cref="Bind"/> would do, and whether it would succeed. Changes nothing.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="user">The user who may open it; null for its present owner, or root.</param>
    /// <param name="persist">Whether to bind it at every boot too.</param>
    /// <exception cref="VfioException">ENODEV: no such function.</exception>
    public BindPlan Plan(PciAddress address, UserAccount? user = null, bool persist = false) =>
        Plan(Topology.Find(address), new FunctionUse(_paths, _system), user, persist);

    /// <summary>The plans of several functions, with one scan of all processes. A function that is removed meanwhile is left out.</summary>
    public IReadOnlyList<(KernelFunction Function, BindPlan Plan)> PlanAll(IEnumerable<KernelFunction> functions)
    {
        ArgumentNullException.ThrowIfNull(functions);
        FunctionUse use = new(_paths, _system);
        return [.. functions.Select(TryPlan).OfType<(KernelFunction, BindPlan)>()];

        (KernelFunction, BindPlan)? TryPlan(KernelFunction function)
        {
            try
            {
                return (function, Plan(function, use, null, persist: false));
            }
            catch (VfioException gone) when (gone.Errno == Errno.NoDevice)
            {
                return null;
            }
        }
    }

    /// <summary>The user to whom a function is assigned, and the processes that have it open; null when no VFIO driver is bound to it.</summary>
    /// <exception cref="VfioException">ENODEV: no such function.</exception>
    public FunctionAssignment? AssignmentOf(PciAddress address) =>
        FunctionNodes.AssignmentOf(_paths, _system, Topology.Find(address), new OpenFiles(_paths, _system));

    /// <summary>Assigns a function with its group: every member is bound to vfio-pci, or none is.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="user">The user who may open it; null for its present owner, or root.</param>
    /// <param name="persist">Whether to bind it at every boot too, by driverctl's files.</param>
    /// <returns>What was done.</returns>
    /// <exception cref="VfioException">The <see cref="BindPlan.Refusal"/> of the plan, before any change: EBUSY: this machine uses it, or another
    /// user has it open; EPERM: not root; ENODEV: no IOMMU; EINVAL: a bridge; ENOENT: vfio-pci is not loaded. Or the kernel refused a
    /// change; all changes are then undone.</exception>
    public BindPlan Bind(PciAddress address, UserAccount? user = null, bool persist = false)
    {
        BindPlan plan = Plan(address, user, persist);
        if (plan.Refusal is not null)
            throw plan.Refusal;
        if (plan.IsDone)
            return plan;
        using IDisposable only = _system.Lock(_paths.Records);

        // The process that had the lock may have changed it.
        plan = Plan(address, user, persist);
        if (plan.Refusal is not null)
            throw plan.Refusal;
        using Undo undo = new("bind", _paths, _system);
        foreach (BindStep step in plan.Members.Where(member => member.Action == BindAction.Bind))
            undo.Do(step.Function, Take);
        foreach (BindStep step in plan.Members.Where(member => member.Action != BindAction.Keep))
            undo.Do(step.Function, function => Hand(function, user, persist));
        undo.Keep();
        return plan;
    }

    /// <summary>Releases a function with its group, to the drivers that had them, or that match.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="grace">How long a program that has it open may keep it after a release request, which carries this time
    /// (<see cref="DeviceEventKind.ReleaseRequested"/>). Null for no request and no wait; <see cref="Timeout.InfiniteTimeSpan"/> for no
    /// limit.</param>
    /// <returns>The functions that were released, with the drivers that have them now.</returns>
    /// <exception cref="VfioException">EBUSY: a program has it open; the message names it. ENODEV: it is not assigned. EPERM: not root. Or the
    /// kernel refused a change; all changes are then undone.</exception>
    public IReadOnlyList<ReleasedFunction> Unbind(PciAddress address, TimeSpan? grace = null)
    {
        Deadline.ThrowIfInvalid(grace ?? TimeSpan.Zero, nameof(grace));
        KernelFunction function = Topology.Find(address);
        KernelFunction[] bound = [.. function.GroupFunctions.Where(member => member.VfioDriver is not null)];
        if (bound.Length == 0)
            throw new VfioException("unbind", address.ToString(), Errno.NoDevice, "it is not assigned");

        RefuseUnlessRoot("unbind", function, "drivers_probe");

        // The kernel would wait for them without a limit; and a function is released with its virtual functions.
        KernelFunction[] withVirtual = [.. bound.Concat(bound.SelectMany(member => member.VirtualFunctions).Select(Topology.Find))];
        new ReleaseWait(_paths, _system).WaitUntilClosed(address, withVirtual, grace);
        using IDisposable only = _system.Lock(_paths.Records);
        using Undo undo = new("unbind", _paths, _system);
        List<ReleasedFunction> released = [];
        foreach (KernelFunction member in bound.Where(member => member.VfioDriver is not null))
            undo.Do(member, ReleaseMember);
        undo.Keep();
        return released;

        void ReleaseMember(KernelFunction member)
        {
            BindRecord? before = BindRecord.Load(_system, _paths, member);
            Release(member, before);
            released.Add(new ReleasedFunction(member, member.Driver, before?.Driver, IsGone(member)));
        }
    }

    /// <summary>Sets the number of virtual functions of a function.</summary>
    /// <returns>The virtual functions.</returns>
    /// <exception cref="VfioException">EINVAL: more than it supports; EBUSY: one of them is in use, assigned or open; ENODEV: no driver is bound
    /// to the function. Or the kernel refused; the number is then as before.</exception>
    public IReadOnlyList<PciAddress> SetVirtualFunctions(PciAddress address, int count)
    {
        KernelFunction function = Topology.Find(address);
        if (count < 0 || count > function.TotalVirtualFunctions)
        {
            throw new VfioException($"{count} virtual functions", address.ToString(), Errno.InvalidArgument,
                function.TotalVirtualFunctions == 0 ? "it has no SR-IOV" : $"it can have 0 to {function.TotalVirtualFunctions}");
        }

        int before = function.EnabledVirtualFunctions;
        if (count == before)
            return function.VirtualFunctions;
        if (function.Driver is null)
            throw new VfioException("virtual functions", address.ToString(), Errno.NoDevice, "no driver is bound to it; its driver makes them");
        RefuseUsedVirtualFunctions(function);
        RefuseUnlessRoot("virtual functions", function, null);

        // The kernel accepts a new number only when there are no virtual functions.
        if (before > 0)
            _system.WriteAttribute(function, "sriov_numvfs", "0");
        try
        {
            if (count > 0)
                _system.WriteAttribute(function, "sriov_numvfs", $"{count}");
        }
        catch (VfioException refusal)
        {
            RestoreVirtualFunctions(function, before, refusal);
            throw;
        }

        return function.VirtualFunctions;
    }

    private static bool IsGone(KernelFunction function) => !Directory.Exists(function.Sysfs.FullPath);

    private BindPlan Plan(KernelFunction function, FunctionUse use, UserAccount? user, bool persist)
    {
        BindStep[] members = [.. function.GroupFunctions.Select(member => Step(member, use))];
        BindValidator validator = new(_paths, _system);
        BindObstacle? obstacle = validator.FindObstacle(function, members);
        bool isOwners = user is not { } owner || members.All(member => member.Action != BindAction.None || BelongsTo(member.Function, owner));
        bool isDone = members.All(member => member.Action != BindAction.Bind) && isOwners
            && (!persist || members.All(member => member.Action == BindAction.Keep || IsPersisted(member.Function)));
        BindObstacle? refusal = obstacle
            ?? (isOwners ? null : FindOpen(members))
            ?? (isDone ? null : validator.FindRefusal(function, members, persist));
        return new BindPlan(function.IommuGroup, members) { Obstacle = obstacle, Refusal = refusal?.ToException(), IsDone = isDone };
    }

    private BindStep Step(KernelFunction function, FunctionUse use)
    {
        BindAction action = function.IsBridge || function.IsMachineBridge ? BindAction.Keep
            : function.VfioDriver is not null ? BindAction.None
            : BindAction.Bind;
        return new BindStep(function, action, action == BindAction.Bind ? use.Of(function) : [])
        {
            Assignment = FunctionNodes.AssignmentOf(_paths, _system, function, use.OpenFiles),
        };
    }

    /// <summary>A function that another user has open cannot change its owner.</summary>
    private static BindObstacle? FindOpen(IEnumerable<BindStep> members) => members
        .Where(member => member.Assignment is { OpenBy.Count: > 0 })
        .Select(member => new BindObstacle(
            member.Function.Address, Errno.Busy,
            $"it is assigned to {member.Assignment!.To}, and open in {string.Join(", ", member.Assignment.OpenBy)}; end it first"))
        .FirstOrDefault();

    /// <summary>What was permitted was for the user who had the function before.</summary>
    private void EndPermits(KernelFunction function)
    {
        if (_system.ReadRecord(_paths.Records, PermitStore.NameOf(function.Address)) is not null)
            _system.WriteRecord(_paths.Records, PermitStore.NameOf(function.Address), null);
    }

    private bool BelongsTo(KernelFunction function, UserAccount user) => FunctionNodes.Of(_paths, function)
        .All(node => _system.StatusOf(node.Path, follow: false) is { } status && (status.UserId, status.GroupId) == (user.UserId, user.GroupId));

    private bool IsPersisted(KernelFunction function) =>
        _system.ReadRecord(_paths.Overrides, FunctionState.OverrideNameOf(function)) is { } text && text.AsSpan().SequenceEqual(Persisted);

    private static ReadOnlySpan<byte> Persisted => "vfio-pci\n"u8;

    private void Take(KernelFunction function)
    {
        _system.WriteRecord(_paths.Records, BindRecord.NameOf(function.Address), BindRecord.Of(function).ToBytes());
        EndPermits(function);
        FunctionState.SetOverride(_system, function, VfioDriver);
        if (function.Driver is not null)
            _system.WriteAttribute(function, KernelFunction.UnbindName, function.Address.ToString());
        _system.WriteAttribute(function, KernelFunction.ProbeName, function.Address.ToString());
        if (function.VfioDriver is null)
            throw new VfioException("bind", function.ToString(), Errno.NoDevice, "vfio-pci did not take it; the kernel's log says why");
    }

    private void Hand(KernelFunction function, UserAccount? user, bool persist)
    {
        if (user is { } owner)
        {
            if (!BelongsTo(function, owner))
                EndPermits(function);
            foreach ((string path, DeviceNumber? number) in FunctionNodes.Of(_paths, function))
                _system.ChangeOwner(path, number ?? default, owner.UserId, owner.GroupId);
        }

        if (persist)
            _system.WriteRecord(_paths.Overrides, FunctionState.OverrideNameOf(function), Persisted.ToArray());
    }

    private void Release(KernelFunction function, BindRecord? before)
    {
        FunctionState state = new(before?.Driver, before?.Override, null, null, new Dictionary<string, (uint, uint)>());
        try
        {
            state.Restore(_paths, _system, function);

            // Its driver is unknown, or not loaded any more: let the kernel find one that matches.
            if (function.Driver is null && before is not { Driver: null })
                _system.WriteAttribute(function, KernelFunction.ProbeName, function.Address.ToString());
        }
        catch (VfioException) when (IsGone(function))
        {
            _system.WriteRecord(_paths.Records, BindRecord.NameOf(function.Address), null);
        }

        EndPermits(function);
    }

    private void RefuseUsedVirtualFunctions(KernelFunction function)
    {
        FunctionUse use = new(_paths, _system);
        foreach (KernelFunction made in function.VirtualFunctions.Select(Topology.Find))
        {
            string? why = FunctionNodes.AssignmentOf(_paths, _system, made, use.OpenFiles) is { } assignment
                ? assignment.OpenBy.Count > 0
                    ? $"its virtual function {made} is open in {string.Join(", ", assignment.OpenBy)}"
                    : $"its virtual function {made} is assigned to {assignment.To}; release it with 'vfio unbind {made}'"
                : use.Of(made) is { Count: > 0 } uses ? $"its virtual function {made} is in use: {string.Join(", ", uses)}" : null;
            if (why is not null)
                throw new VfioException("virtual functions", function.ToString(), Errno.Busy, why);
        }
    }

    private void RestoreVirtualFunctions(KernelFunction function, int before, VfioException refusal)
    {
        try
        {
            if (before > 0 && function.EnabledVirtualFunctions == 0)
                _system.WriteAttribute(function, "sriov_numvfs", $"{before}");
        }
        catch (VfioException second)
        {
            throw new VfioException(refusal.Operation, refusal.Target, refusal.Errno, $"and it has none now: {second.Message}");
        }
    }

    private void RefuseUnlessRoot(string operation, KernelFunction function, string? ofBus)
    {
        string path = ofBus is null ? Path.Combine(function.Sysfs.FullPath, "sriov_numvfs") : Path.Combine(_paths.Sysfs, "bus/pci", ofBus);
        if (_system.MayWrite(path) is not Errno.None and var errno)
        {
            throw errno is Errno.AccessDenied or Errno.OperationNotPermitted
                ? new VfioException(operation, function.ToString(), Errno.OperationNotPermitted, "only root may; run it with sudo")
                : new VfioException(operation, function.ToString(), errno, $"{path} cannot be written");
        }
    }
}
