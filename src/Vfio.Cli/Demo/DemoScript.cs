namespace Vfio.Cli.Demo;

/// <summary>The steps of the demo, in order.</summary>
internal static class DemoScript
{
    internal const string Owner = "owner", User = "user";

    internal static readonly Section[] Sections =
    [
        new("An owner serves a device", [(Owner, "who"), (Owner, "remember")]),
        new("An unprivileged program opens it", [(User, "who"), (User, "open")]),
        new("The user cannot change the device's ids", [(User, "ids"), (Owner, "ids")]),
        new("The user cannot choose where interrupts go", [(User, "msi"), (Owner, "msi")]),
        new("The user's BARs are virtual", [(User, "bar"), (Owner, "bar")]),
        new("The device cannot reach memory that is not mapped", [(User, "dma"), (Owner, "dma")]),
        new("A reset leads to a known state", [(User, "reset")]),
        new("BARs can be sized as on hardware", [(User, "size"), (Owner, "bar")]),
        new("Registers answer", [(User, "live")]),
        new("An interrupt arrives", [(User, "factorial")]),
        new("DMA reaches mapped memory, both ways", [(User, "copy")]),
        new("A closed device is quiet", [(User, "close"), (Owner, "quiet"), (Owner, "holds")]),
    ];
}

/// <summary>Some steps of the demo that show one thing.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Steps">Who does which step.</param>
internal readonly record struct Section(string Title, (string Role, string Step)[] Steps);
