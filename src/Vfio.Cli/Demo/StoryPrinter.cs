using Spectre.Console;
using Vfio.Cli.Output;

namespace Vfio.Cli.Demo;

/// <summary>Tells the story as it happens.</summary>
internal sealed class StoryPrinter(TextWriter output)
{
    private readonly IAnsiConsole _console = Terminal.For(output);
    private int _chapter;

    internal void Begin(Chapter chapter)
    {
        _chapter++;
        _console.MarkupLine($"[bold]{_chapter,2}  {Markup.Escape(chapter.Title)}[/]");
    }

    internal void Tell(string role, StepResult result)
    {
        _console.MarkupLine($"    {(role == Story.Owner ? "[blue]owner[/]" : "[green]user [/]")}  {Markup.Escape(result.Asked)}");
        _console.MarkupLine($"           {(result.Ok ? "[green]ok[/]    " : "[red]WRONG[/] ")}{Markup.Escape(result.Got)}");
    }

    internal void End(bool ok, TimeSpan took) =>
        _console.MarkupLine(ok
            ? $"\n[green]Every step did what it says[/], in {took.TotalSeconds:0.0} s."
            : $"\n[red]A step did not do what it says[/], after {took.TotalSeconds:0.0} s.");
}
