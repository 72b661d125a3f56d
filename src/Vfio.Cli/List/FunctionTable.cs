using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;

namespace Vfio.Cli.List;

/// <summary>Functions as a table, a line each, that fits 80 columns; below it, who has assigned functions open. Why a function is not
/// assignable is in <see cref="FunctionBlocks"/>.</summary>
internal static class FunctionTable
{
    private static readonly Column[] Headings =
    [Column.Whole("ADDRESS"), Column.Whole("IDS"), "DRIVER", Column.Number("GROUP"), Column.Whole("STATE"), "NAME"];

    internal static void Print(TextWriter output, IReadOnlyList<ListedFunction> functions)
    {
        TextTable.Print(output, Headings, functions.Select(Cells));
        foreach (ListedFunction listed in functions)
        {
            foreach (OpenFileUser user in listed.Assignment?.OpenBy ?? [])
                output.WriteLine($"{listed.Function.Address} is open in {user}");
        }
    }

    private static IReadOnlyList<string> Cells(ListedFunction listed) =>
    [
        listed.Function.Address.ToString(),
        listed.Ids,
        listed.Driver ?? "-",
        listed.Function.IommuGroup ?? "-",
        listed.Assignment is { } assignment ? $"assigned to {assignment.To}" : listed.State,
        listed.ShortName,
    ];
}
