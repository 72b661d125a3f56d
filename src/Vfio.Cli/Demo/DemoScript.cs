namespace Vfio.Cli.Demo;

/// <summary>What happens in the demo, in order.</summary>
internal static class DemoScript
{
    internal const string Owner = "owner", User = "user";

    internal static readonly Section[] Sections =
    [
        new("An owner serves a device", [(Owner, "who"), (Owner, "remember")]),
        new("An ordinary program opens it", [(User, "who"), (User, "open")]),
        new("Its ids are not its user's to change", [(User, "ids"), (Owner, "ids")]),
        new("Where interrupts go is not either", [(User, "msi"), (Owner, "msi")]),
        new("The BAR it sees is virtual", [(User, "bar"), (Owner, "bar")]),
        new("Memory that was not given is out of reach", [(User, "dma"), (Owner, "dma")]),
        new("Reset gives a known state", [(User, "reset")]),
        new("BARs can be sized as on hardware", [(User, "size"), (Owner, "bar")]),
        new("Registers answer", [(User, "live")]),
        new("An interrupt arrives", [(User, "factorial")]),
        new("DMA reaches what was given, both ways", [(User, "copy")]),
        new("Closed, the device is quiet", [(User, "close"), (Owner, "quiet"), (Owner, "holds")]),
    ];
}

/// <summary>A part of the story.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Steps">Who does which step.</param>
internal readonly record struct Section(string Title, (string Role, string Step)[] Steps);
