using System.CommandLine;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Lends a function of this machine, with its group.</summary>
internal sealed class BindVerb() : Verb("bind", "Take a function and its IOMMU group from their drivers, to lend them.")
{
    private static readonly Column[] Headings = [Column.Whole("ADDRESS"), "DRIVER", Column.Whole("BECOMES"), "USED FOR"];

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio bind 0000:01:00.0 --dry-run", "show the group, and what would happen to each of its functions"),
        new("vfio bind 0000:01:00.0 --user alice", "lend it to one user; undone by 'vfio unbind' and by a reboot"),
        new("vfio bind 0000:01:00.0 --user alice --persist", "at every boot too, by driverctl's files"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = Words.Function();
        Option<string?> user = new("--user") { Description = "Who may open it; otherwise root alone." };
        Option<bool> persist = new("--persist") { Description = "Lend it at every boot too (driverctl reads the files)." };
        Option<bool> dryRun = new("--dry-run") { Description = "Show what would be done, and do nothing." };
        command.Add(function);
        command.Add(user);
        command.Add(persist);
        command.Add(dryRun);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            Lender lender = new();
            PciAddress address = parsed.GetValue(function);
            LendPlan plan = lender.Plan(address);
            Print(output, plan);
            if (parsed.GetValue(dryRun))
                return;
            UserAccount? account = parsed.GetValue(user) is { } name ? UserAccount.Find(name) : null;
            lender.Bind(address, account, parsed.GetValue(persist));
            output.WriteLine($"{address} is lent to {account?.Name ?? "root"}; 'vfio unbind {address}' undoes it");
        });
    }

    private static void Print(TextWriter output, LendPlan plan)
    {
        output.WriteLine(plan.Group is { } group ? $"IOMMU group {group}:" : "no IOMMU group:");
        TextTable.Print(output, Headings, plan.Members.Select(member => (IReadOnlyList<string>)
            [member.Function.ToString(), member.Function.Driver ?? "-", Becomes(member), member.Uses.Count > 0 ? string.Join(", ", member.Uses) : "-"]));
    }

    private static string Becomes(LendStep step) => step switch
    {
        { Uses.Count: > 0 } => "refused: in use",
        { Action: LendAction.Keep } => "stays (a bridge)",
        { Action: LendAction.None } => "lent already",
        _ => "vfio-pci",
    };
}
