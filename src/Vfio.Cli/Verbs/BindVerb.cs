using System.CommandLine;
using Vfio.Cli.List;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Assigns a function of this machine, with its group.</summary>
internal sealed class BindVerb() : Verb("bind", "Bind a function and its IOMMU group to vfio-pci, and assign them to a user.")
{
    private static readonly Column[] Headings = [Column.Whole("ADDRESS"), "DRIVER", Column.Whole("BECOMES"), "USED FOR"];

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio bind 0000:01:00.0 --dry-run", "print the group and what would happen to each of its functions; exits as the real run would"),
        new("vfio bind 0000:01:00.0 --user alice", "assign it to one user; undone by 'vfio unbind' and by a reboot"),
        new("vfio bind 0000:01:00.0 --user alice --persist", "bind it at every boot too, by driverctl's files"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = SharedOptions.Function();
        Option<string?> user = new("--user") { Description = "The user who may open it; by default its present owner, or root." };
        Option<bool> persist = new("--persist") { Description = "Bind it at every boot too (driverctl reads the files)." };
        Option<bool> dryRun = new("--dry-run") { Description = "Print what would be done, change nothing, and exit as the real run would." };
        Option<bool> json = SharedOptions.Json();
        command.Add(function);
        command.Add(user);
        command.Add(persist);
        command.Add(dryRun);
        command.Add(json);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            DeviceBinder binder = new();
            PciAddress address = parsed.GetValue(function);
            UserAccount? account = parsed.GetValue(user) is { } name ? UserAccount.Find(name) : null;
            bool isPersistent = parsed.GetValue(persist), isDryRun = parsed.GetValue(dryRun), isJson = parsed.GetValue(json);
            BindPlan plan = binder.Plan(address, account, isPersistent);
            FunctionAssignment? before = AssignmentIn(plan, address), after = before;
            if (!isJson)
                Print(output, plan);
            if (plan.Refusal is null && !isDryRun)
            {
                plan = binder.Bind(address, account, isPersistent);
                after = binder.AssignmentOf(address);
            }

            if (isJson)
                Json.Print(output, writer => BindJson.Write(writer, address.ToString(), plan, isDryRun, after));
            if (plan.Refusal is not null)
                throw plan.Refusal;
            if (!isJson && !isDryRun)
                output.WriteLine(Result(address, plan, before, after));
        });
    }

    private static FunctionAssignment? AssignmentIn(BindPlan plan, PciAddress address) =>
        plan.Members.FirstOrDefault(member => member.Function.Address == address)?.Assignment;

    /// <summary>The state afterwards, read from the function's files.</summary>
    private static string Result(PciAddress address, BindPlan plan, FunctionAssignment? before, FunctionAssignment? after)
    {
        string to = after?.To ?? "nobody";
        if (plan.IsDone)
            return $"{address} is assigned to {to} already; nothing was changed";
        string undo = $"'vfio unbind {address}' releases it";
        return before is not null && before.To != to
            ? $"{address} is assigned to {to} now, and no longer to {before.To}; {undo}"
            : $"{address} is assigned to {to}; {undo}";
    }

    private static void Print(TextWriter output, BindPlan plan)
    {
        output.WriteLine(plan.Group is { } group ? $"IOMMU group {group}:" : "no IOMMU group:");
        TextTable.Print(output, Headings, plan.Members.Select(member => (IReadOnlyList<string>)
            [member.Function.ToString(), member.Driver ?? "-", Becomes(member), member.Uses.Count > 0 ? string.Join(", ", member.Uses) : "-"]));
    }

    private static string Becomes(BindStep step) => step switch
    {
        { Uses.Count: > 0 } => "refused: in use",
        { Action: BindAction.Keep } => "stays (a bridge)",
        { Action: BindAction.None } => $"assigned to {step.Assignment?.To}",
        _ => "vfio-pci",
    };
}
