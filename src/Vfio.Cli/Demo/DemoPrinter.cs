using Vfio.Cli.Output;

namespace Vfio.Cli.Demo;

/// <summary>Tells the story as it happens.</summary>
internal sealed class DemoPrinter(TextWriter output)
{
    private readonly Terminal _terminal = Terminal.For(output);
    private int _chapter;

    internal void Begin(Section chapter)
    {
        _chapter++;
        _terminal.WriteLine(new StyledText($"{_chapter,2}  {chapter.Title}", "bold"));
    }

    internal void Tell(string role, StepResult result)
    {
        _terminal.WriteLine("    ", role == DemoScript.Owner ? new StyledText("owner", "blue") : new StyledText("user ", "green"), "  ", result.Asked);
        _terminal.WriteLine("           ", result.Ok ? new StyledText("ok    ", "green") : new StyledText("WRONG ", "red"), result.Got);
    }

    internal void End(bool ok, TimeSpan took)
    {
        _terminal.WriteLine();
        if (ok)
            _terminal.WriteLine(new StyledText("Every step did what it says", "green"), $", in {took.TotalSeconds:0.0} s.");
        else
            _terminal.WriteLine(new StyledText("A step did not do what it says", "red"), $", after {took.TotalSeconds:0.0} s.");
    }
}
