using System.Text.RegularExpressions;

namespace Vfio.Tests.Readme;

/// <summary>Pages of the documentation are found, and lead to what is there. <c>packaging/site</c> checks anchors too.</summary>
public sealed partial class DocumentationTests
{
    private static readonly string[] Roots = ["docs", "bench", "src", "packaging"];

    private static IEnumerable<string> Pages =>
        Directory.EnumerateFiles(Repository.PathOf("docs"), "*.md").Select(page => Path.GetFileName(page));

    public static TheoryData<string> MarkdownFiles =>
    [
        .. Directory.EnumerateFiles(Repository.Root, "*.md")
            .Concat(Roots.SelectMany(root => Directory.EnumerateFiles(Repository.PathOf(root), "*.md", SearchOption.AllDirectories)))
            .Select(file => Path.GetRelativePath(Repository.Root, file)).Order(),
    ];

    [Fact]
    public void Every_page_is_in_the_contents_of_the_site_and_in_the_readme()
    {
        string contents = File.ReadAllText(Repository.PathOf("docs", "site", "toc.yml"));
        string readme = File.ReadAllText(Repository.PathOf("README.md"));
        Assert.NotEmpty(Pages);
        Assert.All(Pages, page =>
        {
            Assert.Contains($"href: docs/{page}\n", contents);
            Assert.Contains($"](docs/{page})", readme);
        });
    }

    [Theory]
    [MemberData(nameof(MarkdownFiles))]
    public void A_link_to_a_file_leads_to_one(string file)
    {
        string folder = Path.GetDirectoryName(Repository.PathOf(file))!;
        string text = CodeBlock().Replace(File.ReadAllText(Repository.PathOf(file)), "");
        Assert.All(Link().Matches(text).Where(link => link.Groups[1].Value != ""),
            link => Assert.True(Path.Exists(Path.Combine(folder, link.Groups[1].Value)), link.Value));
    }

    [GeneratedRegex(@"```.*?```", RegexOptions.Singleline)]
    private static partial Regex CodeBlock();

    // The file of [text](file#anchor); addresses of other places have a scheme.
    [GeneratedRegex(@"\]\((?!\w+:)([^)#]*)(?:#[^)]*)?\)")]
    private static partial Regex Link();
}
