using System.CommandLine;
using System.Globalization;
using System.Text;
using Vfio.Cli.Output;

namespace Vfio.Cli.Verbs;

/// <summary>Writes the manual pages of the command, for packages.</summary>
internal sealed class ManualVerb() : Verb("manual", "Write the manual pages of vfio and of its verbs.")
{
    /// <summary>Seconds since 1970 that a package is dated with, so that the same sources give the same bytes: reproducible-builds.org.</summary>
    private const string DateVariable = "SOURCE_DATE_EPOCH";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples => [new("vfio manual build/man1", "write vfio.1, vfio-ls.1 and so on")];

    /// <inheritdoc/>
    internal override bool IsHidden => true;

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> folder = new("folder") { Description = "Where the pages go; it exists." };
        command.Add(folder);
        command.SetAction(parsed =>
        {
            foreach ((string file, string text) in ManualPage.WriteAll(CommandLine.CreateRoot(), CommandLine.Verbs, FindDate()))
            {
                using FileStream page = UserFile.Create(Path.Combine(parsed.GetValue(folder)!, file));
                page.Write(Encoding.UTF8.GetBytes(text));
            }
        });
    }

    private static DateTimeOffset FindDate() =>
        long.TryParse(Environment.GetEnvironmentVariable(DateVariable), NumberStyles.None, CultureInfo.InvariantCulture, out long seconds)
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : DateTimeOffset.UtcNow;
}
