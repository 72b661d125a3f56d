using System.Reflection;
using System.Text.RegularExpressions;

namespace Vfio.Tests.Layout;

/// <summary>What docs/seeds.md names is there: types, their members, verbs and files.</summary>
public sealed partial class SeedsTests
{
    private const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    // Of .NET.
    private static readonly string[] Others = ["PlatformNotSupportedException"];

    [Fact]
    public void Every_row_is_there_once_in_order()
    {
        int[] numbers = [.. Rows().Matches(Text()).Select(row => int.Parse(row.Groups[1].Value))];
        Assert.Equal(Enumerable.Range(1, 137), numbers);
    }

    [Fact]
    public void Every_type_and_member_that_a_row_names_is_there()
    {
        ILookup<string, Type> types = (
            from file in Directory.EnumerateFiles(AppContext.BaseDirectory, "Vfio*.dll")
            from type in Assembly.LoadFrom(file).GetTypes()
            select type).ToLookup(type => type.Name.Split('`')[0]);
        HashSet<string> members =
            [.. types.SelectMany(found => found).SelectMany(type => type.GetMembers(All)).Select(member => member.Name)];
        List<string> missing = [];
        foreach (Match name in Names().Matches(Text()))
        {
            (string type, string member) = (name.Groups[1].Value, name.Groups[2].Value);
            bool isThere = Others.Contains(type) || types[type].Any(found => member.Length == 0 || found.GetMember(member, All).Length > 0);
            bool isMember = member.Length == 0 && members.Contains(type);
            if (!isThere && !isMember && !Directory.Exists(Repository.PathOf("src", $"{type}.{member}")))
                missing.Add(name.Value);
        }

        Assert.Empty(missing);
    }

    [Fact]
    public void Every_verb_and_path_that_a_row_names_is_there()
    {
        string[] verbs = [.. Vfio.Cli.CommandLine.CreateRoot().Subcommands.Select(verb => verb.Name)];
        Assert.Empty(Verbs().Matches(Text()).Select(match => match.Groups[1].Value).Except(verbs));
        IEnumerable<string> paths = Paths().Matches(Text()).Select(match => match.Groups[1].Value);
        Assert.DoesNotContain(paths, path => !Path.Exists(Repository.PathOf(path.Split('/'))));
    }

    private static string Text() => File.ReadAllText(Repository.PathOf("docs", "seeds.md"));

    [GeneratedRegex(@"^\| (\d+) \|", RegexOptions.Multiline)]
    private static partial Regex Rows();

    [GeneratedRegex(@"`([A-Z][a-z][A-Za-z0-9]*|I[A-Z][a-z][A-Za-z0-9]*)(?:\.([A-Z][A-Za-z0-9_]*))?(?=[`(])")]
    private static partial Regex Names();

    [GeneratedRegex(@"`vfio ([a-z]+)")]
    private static partial Regex Verbs();

    [GeneratedRegex(@"`((?:src|docs|test|bench)/[A-Za-z./]+)`")]
    private static partial Regex Paths();
}
