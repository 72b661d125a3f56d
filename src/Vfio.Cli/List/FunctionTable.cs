using Vfio.Cli.Output;
using Vfio.Pci;

namespace Vfio.Cli.List;

/// <summary>Functions as a table, a line each, that fits 80 columns; why not is in <see cref="FunctionBlocks"/>.</summary>
internal static class FunctionTable
{
    private static readonly Column[] Headings =
    [Column.Whole("ADDRESS"), Column.Whole("IDS"), "DRIVER", Column.Number("GROUP"), Column.Whole("VIABLE"), Column.Whole("BEHAVES"), "NAME"];

    internal static void Print(TextWriter output, IEnumerable<ListedFunction> functions) =>
        TextTable.Print(output, Headings, functions.Select(Cells));

    private static IReadOnlyList<string> Cells(ListedFunction listed) =>
    [
        listed.Function.Address.ToString(),
        listed.Ids,
        listed.Function.Driver ?? "-",
        listed.Function.IommuGroup ?? "-",
        listed.Viability.Answer == Answer.Yes ? "yes" : "no",
        Behaviour(listed.Report),
        listed.ShortName,
    ];

    /// <summary>What cannot be known from here is a question.</summary>
    private static string Behaviour(WellBehavedReport report) =>
        !report.IsWellBehaved ? "no" : report.Verdicts.Any(verdict => verdict.Answer == Answer.Unknown) ? "?" : "well";
}
