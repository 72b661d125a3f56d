using System.Globalization;
using System.Text;
using System.Xml;
using Vfio.Conformance;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>Conformance checks as XML for continuous integration: JUnit's <c>testsuite</c>, with a <c>testcase</c> for each check.</summary>
/// <remarks>A violation is a <c>failure</c>. A difference passes, with its text in <c>system-out</c>. A check that an interrupted run did
/// not reach is <c>skipped</c>.</remarks>
internal static class JUnitReport
{
    private const string Suite = "vfio-user";

    /// <summary>Writes the document.</summary>
    internal static void Write(Stream stream, ConformanceReport report)
    {
        using XmlWriter writer = XmlWriter.Create(stream, new XmlWriterSettings { Indent = true, Encoding = new UTF8Encoding(false) });
        writer.WriteStartElement("testsuites");
        writer.WriteStartElement("testsuite");
        Attribute(writer, "name", $"{Suite} {report.Path}");
        Attribute(writer, "tests", Number(report.Results.Count + report.Untried.Count));
        Attribute(writer, "failures", Number(report.Count(Verdict.Violation)));
        Attribute(writer, "errors", Number(0));
        Attribute(writer, "skipped", Number(report.Count(Verdict.Skipped) + report.Untried.Count));
        Attribute(writer, "time", Seconds(report.Results.Aggregate(TimeSpan.Zero, (sum, result) => sum + result.Time)));
        foreach (CheckResult result in report.Results)
            WriteResult(writer, result);
        foreach (Check check in report.Untried)
        {
            StartCase(writer, check, TimeSpan.Zero);
            WriteSkipped(writer, "the run was interrupted before it");
            writer.WriteEndElement();
        }

        writer.WriteEndElement();
        writer.WriteEndElement();
    }

    private static void WriteResult(XmlWriter writer, CheckResult result)
    {
        StartCase(writer, result.Check, result.Time);
        switch (result.Verdict)
        {
            case Verdict.Violation:
                writer.WriteStartElement("failure");
                Attribute(writer, "type", "violation");
                Attribute(writer, "message", result.Reason);
                writer.WriteString(Lines([$"{result.Check.Section}: {result.Check.Rule}", .. result.Exchange.Select(Line)]));
                writer.WriteEndElement();
                break;
            case Verdict.Skipped:
                WriteSkipped(writer, result.Reason);
                break;
            case Verdict.Differs:
                writer.WriteElementString("system-out", Lines([$"differs: {result.Reason}", $"{result.Check.Section}: {result.Check.Rule}"]));
                break;
        }

        writer.WriteEndElement();
    }

    private static void StartCase(XmlWriter writer, Check check, TimeSpan time)
    {
        writer.WriteStartElement("testcase");
        Attribute(writer, "classname", $"{Suite}.{check.Group}");
        Attribute(writer, "name", check.Name);
        Attribute(writer, "time", Seconds(time));
    }

    private static void WriteSkipped(XmlWriter writer, string reason)
    {
        writer.WriteStartElement("skipped");
        Attribute(writer, "message", reason);
        writer.WriteEndElement();
    }

    private static string Line(LoggedMessage message) =>
        $"{message.Connection} {(message.IsSent ? "->" : "<-")} {message.Text}{(message.Descriptors > 0 ? $", with {message.Descriptors} descriptors" : "")}: {message.Hex}";

    private static void Attribute(XmlWriter writer, string name, string value) => writer.WriteAttributeString(name, Text(value));

    private static string Lines(IEnumerable<string> lines) => string.Join('\n', lines.Select(Text));

    // Printable text has no control character and no lone surrogate; XML 1.0 excludes two more characters.
    private static string Text(string text) =>
        PrintableText.Of(text).Replace("\ufffe", @"\ufffe", StringComparison.Ordinal).Replace("\uffff", @"\uffff", StringComparison.Ordinal);

    private static string Number(int count) => count.ToString(CultureInfo.InvariantCulture);

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture);
}
