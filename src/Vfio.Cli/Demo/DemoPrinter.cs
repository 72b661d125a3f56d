using Vfio.Cli.Output;

namespace Vfio.Cli.Demo;

/// <summary>Prints the steps of the demo as they are done.</summary>
internal sealed class DemoPrinter(TextWriter output)
{
    private readonly Terminal _terminal = Terminal.For(output);
    private int _section;

    internal void Begin(Section section)
    {
        _section++;
        _terminal.WriteLine(new StyledText($"{_section,2}  {section.Title}", "bold"));
    }

    internal void Print(string role, StepResult result)
    {
        _terminal.WriteLine("    ", role == DemoScript.Owner ? new StyledText("owner", "blue") : new StyledText("user ", "green"), "  ", result.Asked);
        _terminal.WriteLine("           ", result.Ok ? new StyledText("ok    ", "green") : new StyledText("WRONG ", "red"), result.Got);
    }

    internal void End(bool ok, TimeSpan took)
    {
        _terminal.WriteLine();
        if (ok)
            _terminal.WriteLine(new StyledText("Every step succeeded", "green"), $", in {took.TotalSeconds:0.0} s.");
        else
            _terminal.WriteLine(new StyledText("A step failed", "red"), $", after {took.TotalSeconds:0.0} s.");
    }
}
