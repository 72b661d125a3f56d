using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>Takes functions from the drivers of this machine to lend them, and gives them back.</summary>
/// <remarks>Root only. It goes by <c>driver_override</c> and <c>drivers_probe</c>, which concern one function alone; never by
/// <c>new_id</c>, which concerns every function with these ids, now and later.</remarks>
/// <param name="paths">Where the kernel shows itself; null for the usual places.</param>
public sealed class Lender(KernelPaths? paths = null)
{
    private const string VfioDriver = "vfio-pci";
    private const int LookAgainMilliseconds = 50;
    private readonly KernelPaths _paths = paths ?? new KernelPaths();

    private PciTopology Topology => new(_paths.Sysfs);

    /// <summary>What lending a function would mean. Changes nothing.</summary>
    /// <exception cref="VfioException">ENODEV: no such function.</exception>
    public LendPlan Plan(PciAddress address)
    {
        KernelFunction function = Topology.Find(address);
        FunctionUse use = new(_paths);
        return new LendPlan(function.IommuGroup, [.. function.GroupMembers.Select(member => Step(Topology.Find(member), use))]);
    }

    /// <summary>Lends a function, with all of its group: every member goes to vfio-pci, or none does.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="user">Who may open it; null for root alone.</param>
    /// <param name="persist">Whether to lend it at every boot too, by driverctl's files.</param>
    /// <returns>What was done.</returns>
    /// <exception cref="VfioException">EBUSY: this machine uses it; EPERM: not root; ENOENT: vfio-pci is not loaded.</exception>
    public LendPlan Bind(PciAddress address, UserAccount? user = null, bool persist = false)
    {
        LendPlan plan = Plan(address);
        if (plan.Members.FirstOrDefault(member => member.Uses.Count > 0) is { } used)
            throw new VfioException("bind", used.Function.ToString(), Errno.Busy, string.Join(", ", used.Uses));
        if (!Directory.Exists(Path.Combine(_paths.Sysfs, "bus/pci/drivers", VfioDriver)))
            throw new VfioException("bind", address.ToString(), Errno.NoEntry, "the driver vfio-pci is not there; run 'modprobe vfio-pci'");
        Stack<PciAddress> done = [];
        try
        {
            foreach (LendStep step in plan.Members.Where(member => member.Action == LendAction.Bind))
            {
                done.Push(step.Function.Address);
                Take(step.Function);
            }

            foreach (LendStep step in plan.Members.Where(member => member.Action != LendAction.Keep))
                Hand(step.Function, user, persist);
        }
        catch (Exception)
        {
            while (done.TryPop(out PciAddress taken))
                TryGiveBack(Topology.Find(taken));
            throw;
        }

        return plan;
    }

    /// <summary>Gives a function back, with all of its group: to the drivers that had them, or that fit.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="grace">How long a program that has it open may keep it. It is asked to let go, and told how long it has
    /// (<see cref="DeviceEventKind.ReturnRequested"/>). Null to ask nobody, <see cref="Timeout.InfiniteTimeSpan"/> to wait without
    /// an end.</param>
    /// <returns>The functions that were given back, with the drivers that have them now.</returns>
    /// <exception cref="VfioException">EBUSY: a program has it open; the message names it. ENODEV: it is not lent.</exception>
    public IReadOnlyList<KernelFunction> Unbind(PciAddress address, TimeSpan? grace = null)
    {
        Deadline.ThrowIfInvalid(grace ?? TimeSpan.Zero, nameof(grace));
        KernelFunction function = Topology.Find(address);
        KernelFunction[] lent = [.. function.GroupMembers.Select(Topology.Find).Where(member => member.LentBy is not null)];
        if (lent.Length == 0)
            throw new VfioException("unbind", address.ToString(), Errno.NoDevice, "it is not lent");

        // The kernel would wait for them, for ever.
        string[] nodes = [.. lent.SelectMany(NodesOf)];
        IReadOnlyList<string> holders = Holders.Of(_paths, nodes);
        if (holders.Count > 0 && grace is { } time)
            holders = AskForReturn(lent, nodes, time);
        if (holders.Count > 0)
            throw new VfioException("unbind", address.ToString(), Errno.Busy, $"open in {string.Join(", ", holders)}; end it first");
        foreach (KernelFunction member in lent)
            GiveBack(member);
        return [.. lent.Select(member => Topology.Find(member.Address))];
    }

    /// <summary>Sets how many virtual functions a function has.</summary>
    /// <returns>They.</returns>
    /// <exception cref="VfioException">EINVAL: it cannot have so many; EBUSY: one of them is open.</exception>
    public IReadOnlyList<PciAddress> SetVirtualFunctions(PciAddress address, int count)
    {
        KernelFunction function = Topology.Find(address);
        if (count < 0 || count > function.TotalVirtualFunctions)
        {
            throw new VfioException($"{count} virtual functions", address.ToString(), Errno.InvalidArgument,
                function.TotalVirtualFunctions == 0 ? "it has no SR-IOV" : $"it can have 0 to {function.TotalVirtualFunctions}");
        }

        IReadOnlyList<string> holders = Holders.Of(_paths, [.. function.VirtualFunctions.Select(Topology.Find).SelectMany(NodesOf)]);
        if (holders.Count > 0)
            throw new VfioException("virtual functions", address.ToString(), Errno.Busy, $"one is open in {string.Join(", ", holders)}");

        // From one number to another the kernel only goes by way of none.
        function.Write("sriov_numvfs", "0");
        if (count > 0)
            function.Write("sriov_numvfs", $"{count}");
        return function.VirtualFunctions;
    }

    /// <summary>Asks who has functions open to let them go, by a message that the kernel spreads, and waits.</summary>
    /// <returns>Who has them still.</returns>
    private IReadOnlyList<string> AskForReturn(KernelFunction[] functions, string[] nodes, TimeSpan time)
    {
        Deadline end = new(time);
        string seconds = end.IsNever ? EventTranslator.NoLimit : $"{Math.Min(int.MaxValue, Math.Ceiling(time.TotalSeconds))}";
        foreach (KernelFunction function in functions)
            function.Write("uevent", $"change {Guid.NewGuid()} {EventTranslator.ReturnKey}={seconds}");
        IReadOnlyList<string> holders;
        while ((holders = Holders.Of(_paths, nodes)).Count > 0 && !end.HasPassed)
            Thread.Sleep(LookAgainMilliseconds);
        return holders;
    }

    private LendStep Step(KernelFunction function, FunctionUse use)
    {
        LendAction action = function.IsBridge ? LendAction.Keep : function.LentBy is not null ? LendAction.None : LendAction.Bind;
        return new LendStep(function, action, action == LendAction.Bind ? use.Of(function.Address) : []);
    }

    private void Take(KernelFunction function)
    {
        new BindRecord(function.Driver, function.DriverOverride).Save(_paths, function.Address);
        function.Write("driver_override", VfioDriver);
        function.Unbind();
        function.Probe();
        if (function.LentBy is null)
            throw new VfioException("bind", function.ToString(), Errno.NoDevice, "vfio-pci did not take it; the kernel's log says why");
    }

    private void Hand(KernelFunction function, UserAccount? user, bool persist)
    {
        if (user is { } owner)
        {
            foreach (string node in NodesOf(function))
                owner.TakeOwnership(node);
        }

        if (!persist)
            return;
        Directory.CreateDirectory(_paths.Overrides);
        File.WriteAllText(OverrideOf(function), VfioDriver + '\n');
    }

    private void GiveBack(KernelFunction function)
    {
        BindRecord? before = BindRecord.Load(_paths, function.Address);

        // A newline takes the override away.
        function.Write("driver_override", before?.Override ?? "\n");
        if (function.LentBy is not null)
            function.Unbind();
        if (before is null || before.Driver is not null)
            function.Probe();
        if (Directory.Exists(_paths.Overrides))
            File.Delete(OverrideOf(function));
        BindRecord.Delete(_paths, function.Address);
    }

    private void TryGiveBack(KernelFunction function)
    {
        try
        {
            GiveBack(function);
        }
        catch (VfioException)
        {
            // What made it necessary is reported; the record stays, so that unbind can be tried again.
        }
    }

    private string OverrideOf(KernelFunction function) => Path.Combine(_paths.Overrides, $"pci-{function.Address}");

    private IEnumerable<string> NodesOf(KernelFunction function)
    {
        string?[] names = [function.VfioDevice, function.IommuGroup is { } group ? (function.IsUntranslated ? $"noiommu-{group}" : group) : null];
        return names.OfType<string>().Select(name => Path.Combine(_paths.Dev, "vfio", name)).Where(File.Exists);
    }
}
