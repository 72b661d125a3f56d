using System.Text.RegularExpressions;

namespace Vfio.Tests.Tutorials;

/// <summary>What the tutorials have their readers write is compiled and tested here, and is what they show.</summary>
/// <remarks>The files are in a folder for each tutorial, in the namespaces and at the paths of a project that <c>dotnet new</c> makes. Their
/// tests run with all others.</remarks>
public sealed partial class TutorialTests
{
    public static TheoryData<string, string> Tutorials => new() { { "tutorial-driver.md", "Driver" }, { "tutorial-device.md", "Device" } };

    [Theory]
    [MemberData(nameof(Tutorials))]
    public void Every_block_of_code_is_a_whole_file_that_is_compiled(string page, string folder)
    {
        string root = Repository.PathOf("test", "Vfio.Tests", "Tutorials", folder);
        Dictionary<string, string> files = Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .ToDictionary(path => Path.GetRelativePath(root, path), File.ReadAllText);
        Dictionary<string, string> blocks = CSharpBlock().Matches(File.ReadAllText(Repository.PathOf("docs", page)))
            .ToDictionary(match => match.Groups["path"].Value, match => match.Groups["text"].Value);
        Assert.Equal(files.Keys.Order(), blocks.Keys.Order());
        Assert.All(files, file => Assert.Equal(file.Value, blocks[file.Key]));
    }

    // The first line of a file says where it is.
    [GeneratedRegex(@"```csharp\n(?<text>// (?<path>\S+)\n.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
