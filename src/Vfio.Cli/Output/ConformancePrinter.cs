using System.Text.Json;
using Vfio.Conformance;

namespace Vfio.Cli.Output;

/// <summary>Prints conformance checks: a line each as they are done, or one JSON document at the end.</summary>
internal sealed class ConformancePrinter(TextWriter output, bool verbose, bool json)
{
    private readonly Terminal _terminal = Terminal.For(output);
    private readonly bool _showsProgress = json || output is PlainWriter { IsTerminal: true };

    /// <summary>Lists the checks.</summary>
    internal void List(IReadOnlyList<Check> checks)
    {
        if (json)
            Json.Print(output, writer => WriteList(writer, checks));
        else
            TextTable.Print(output, [Column.Whole("check"), Column.Whole("section"), "rule"], checks.Select(check => (string[])[check.Name, check.Section, check.Rule]));
    }

    /// <summary>Progress, which the next line of output replaces.</summary>
    internal void Starting(Check check, int number, int count)
    {
        if (_showsProgress)
            StatusLine.Show($"{number + 1} of {count}: {check.Name}");
    }

    /// <summary>One result.</summary>
    internal void Found(CheckResult result)
    {
        if (_showsProgress)
            StatusLine.Show(null);
        if (json)
            return;
        (string word, string colour) = WordOf(result.Verdict);
        _terminal.WriteLine(new StyledText($"{word,-9}", colour), $" {result.Check.Name,-38} {result.Reason}".TrimEnd());
        bool isExplained = result.Verdict is Verdict.Violation or Verdict.Differs;
        if (isExplained || verbose)
            output.WriteLine($"          {result.Check.Section}: {result.Check.Rule}");
        if (result.Verdict == Verdict.Violation || verbose)
            PrintExchange(result.Exchange);
    }

    /// <summary>The end: the counts, or the document.</summary>
    internal void Finish(ConformanceReport report)
    {
        StatusLine.Show(null);
        if (json)
        {
            Json.Print(output, writer => Write(writer, report));
            return;
        }

        output.WriteLine(
            $"{report.Results.Count} checks: {report.Count(Verdict.Pass)} pass, {report.Count(Verdict.Differs)} differ, "
            + $"{report.Count(Verdict.Skipped)} skipped, {report.Count(Verdict.Violation)} violations"
            + (report.Untried.Count > 0 ? $"; interrupted, {report.Untried.Count} not tried" : ""));
    }

    private void PrintExchange(IReadOnlyList<LoggedMessage> exchange)
    {
        foreach (LoggedMessage message in exchange)
        {
            string with = message.Descriptors > 0 ? $", with {message.Descriptors} descriptors" : "";
            output.WriteLine($"          {message.Connection} {(message.IsSent ? "->" : "<-")} {message.Text}{with}");
            output.WriteLine($"               {message.Hex}");
        }
    }

    private static (string Word, string Colour) WordOf(Verdict verdict) => verdict switch
    {
        Verdict.Pass => ("pass", "green"),
        Verdict.Differs => ("differs", "yellow"),
        Verdict.Skipped => ("skipped", "grey"),
        _ => ("violation", "red"),
    };

    private static void WriteList(Utf8JsonWriter writer, IReadOnlyList<Check> checks)
    {
        writer.WriteStartArray();
        foreach (Check check in checks)
        {
            writer.WriteStartObject();
            WriteCheck(writer, check);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, ConformanceReport report)
    {
        writer.WriteStartObject();
        writer.WriteString("server", report.Path);
        writer.WriteBoolean("interrupted", report.Untried.Count > 0);
        writer.WriteNumber("untried", report.Untried.Count);
        foreach (Verdict verdict in Enum.GetValues<Verdict>())
            writer.WriteNumber(WordOf(verdict).Word, report.Count(verdict));
        writer.WriteStartArray("checks");
        foreach (CheckResult result in report.Results)
        {
            writer.WriteStartObject();
            WriteCheck(writer, result.Check);
            writer.WriteString("verdict", WordOf(result.Verdict).Word);
            writer.WriteString("reason", result.Reason);
            writer.WriteNumber("milliseconds", Math.Round(result.Time.TotalMilliseconds, 3));
            writer.WriteStartArray("exchange");
            foreach (LoggedMessage message in result.Exchange)
                WriteMessage(writer, message);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteCheck(Utf8JsonWriter writer, Check check)
    {
        writer.WriteString("check", check.Name);
        writer.WriteString("section", check.Section);
        writer.WriteString("rule", check.Rule);
    }

    private static void WriteMessage(Utf8JsonWriter writer, LoggedMessage message)
    {
        writer.WriteStartObject();
        writer.WriteNumber("connection", message.Connection);
        writer.WriteString("direction", message.IsSent ? "sent" : "received");
        writer.WriteNumber("length", message.Length);
        writer.WriteString("bytes", Convert.ToHexStringLower(message.Bytes));
        writer.WriteNumber("descriptors", message.Descriptors);
        writer.WriteString("text", message.Text);
        writer.WriteEndObject();
    }
}
