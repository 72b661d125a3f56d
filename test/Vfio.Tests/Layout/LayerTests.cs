using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Vfio.Tests.Layout;

/// <summary>Projects and their folders in reading order: each uses only those before it, and only the first has unsafe code.</summary>
public sealed partial class LayerTests
{
    private const string UnsafeProject = "Vfio.Native";

    // In the order of docs/architecture.md. A new project or folder gets its place here and in that page's tables.
    private static readonly Layer[] Layers =
    [
        new("Vfio.Native", [], ["Errors", "Interop", "Files", "Memory", "Waiting", "Sockets", "Kernel", "Tracing"]),
        new("Vfio.Pci", [], ["Config", "Names", "Capabilities", "Rules", "Validation", "Decoding", "Dumps"]),
        new("Vfio", ["Vfio.Native", "Vfio.Pci"], ["Abstractions", "Providers", "Description", "Captures", "Driver"]),
        new("Vfio.Kernel", ["Vfio"], ["Topology", "Device", "Events", "Binding"]),
        new("Vfio.User", ["Vfio"], ["Wire", "Captures", "Transport", "Handover", "Client", "Server", "Leases"]),
        new("Vfio.Guard", ["Vfio"], ["Shared", "Interrupts", "Bars", "Config", "Dma", "Migration", "Function", "Hardware", "Emulation", "Platform"]),
        new("Vfio.Devices", ["Vfio.User", "Vfio.Guard"], ["Network", "Bench", "Edu", "Igb", "Nvme", "Platform"]),
        new("Vfio.Drivers", ["Vfio"], ["Ethernet", "Edu", "Igb", "Nvme"]),
        new("Vfio.Net", ["Vfio.Drivers"], []),
        new("Vfio.Testing", ["Vfio"], ["Faults"]),
        new("Vfio.Tracing", ["Vfio.Devices"], ["Format", "Recording", "Names", "Text", "Replay", "Export"]),
        new("Vfio.Open", ["Vfio.Kernel", "Vfio.User", "Vfio.Devices", "Vfio.Tracing"], []),
        new("Vfio.Broker", ["Vfio.Open"], ["Policies", "Audit", "Metrics", "Leases", "Control"]),
        new("Vfio.Run", ["Vfio.Open"], ["Interface", "Tree", "Tracing"]),
        new("Vfio.Conformance", ["Vfio.User"], ["Wire", "Running", "Checks"]),
        new("Vfio.Cli", ["Vfio.Open", "Vfio.Broker", "Vfio.Run", "Vfio.Conformance", "Vfio.Net", "Vfio.Testing", "Vfio.Tracing"], ["Output", "Bench", "Numbers", "Show", "List", "Leases", "Demo", "Nvme", "Net", "Trace", "Html", "Side", "Verbs"]),
        new("Vfio.Web", ["Vfio.Cli"], ["Events", "Devices", "Serving"]),
    ];

    // Devices, drivers and verbs are named after what they are, public or not: a namespace for each folder.
    private static readonly string[] NamespacePerFolder = ["Vfio.Devices", "Vfio.Drivers", "Vfio.Cli", "Vfio.Web"];

    public static TheoryData<string> Projects => [.. Layers.Select(layer => layer.Project)];

    [Fact]
    public void Every_folder_under_src_is_a_layer()
    {
        IEnumerable<string?> folders = Directory.GetDirectories(Repository.PathOf("src")).Select(Path.GetFileName).Order();
        Assert.Equal(Layers.Select(layer => layer.Project).Order(), folders);
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_uses_only_projects_above_it(string project)
    {
        Layer layer = Find(project);
        XDocument file = XDocument.Load(Repository.PathOf("src", project, project + ".csproj"));
        string?[] uses = [.. file.Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension((string?)reference.Attribute("Include")))];
        Assert.All(uses, used => Assert.Contains(used, layer.Uses));

        string[] above = [.. Layers.TakeWhile(other => other.Project != project).Select(other => other.Project)];
        Assert.All(layer.Uses, used => Assert.Contains(used, above));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_folder_uses_only_folders_before_it_and_its_projects_root(string project)
    {
        Layer layer = Find(project);
        SourceFile[] files = [.. SourcesOf(project).Select(path => SourceFile.Read(project, path))];
        Assert.Equal(layer.Folders.Order(), files.Select(file => file.Folder).Where(folder => folder != "").Distinct().Order());

        // The root of a project is its face: it uses all folders, and types of it are used in all.
        Dictionary<string, string> folders = files.SelectMany(file => file.Types.Select(type => (type, file.Folder)))
            .GroupBy(pair => pair.type)
            .Where(pairs => pairs.Select(pair => pair.Folder).Distinct().Count() == 1)
            .ToDictionary(pairs => pairs.Key, pairs => pairs.First().Folder);
        IEnumerable<string> wrong =
            from file in files
            where file.Folder != ""
            from name in file.Names
            where folders.TryGetValue(name, out string? folder) && folder != ""
                && Array.IndexOf(layer.Folders, folder) > Array.IndexOf(layer.Folders, file.Folder)
            select $"{file.Folder}/{file.Name} uses {name} of {folders[name]}";
        Assert.Empty(wrong);
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_namespace_is_the_folders_or_for_public_types_the_projects(string project)
    {
        string root = project == "Vfio.Open" ? "Vfio" : project;
        bool perFolder = NamespacePerFolder.Contains(project);
        SourceFile[] files = [.. SourcesOf(project).Select(path => SourceFile.Read(project, path)).Where(file => file.Namespace != "")];

        // Parts of one type are in one namespace, wherever they stand.
        HashSet<string> shown = [.. files.SelectMany(file => file.PublicTypes)];
        Assert.All(files, file =>
        {
            string full = string.Join('.', [root, .. file.Folders]);
            bool isPublic = file.Types.Any(shown.Contains);
            if (project == UnsafeProject && isPublic && file.Namespace == "Vfio")
                return; // Errors are thrown by every package.
            if (project == "Vfio.Conformance")
                Assert.Equal(root, file.Namespace);
            else
                Assert.Equal(isPublic && !perFolder ? root : full, file.Namespace);
        });
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Only_the_native_project_has_unsafe_code(string project)
    {
        XDocument file = XDocument.Load(Repository.PathOf("src", project, project + ".csproj"));
        Assert.Equal(project == UnsafeProject, (string?)file.Descendants("AllowUnsafeBlocks").SingleOrDefault() == "true");
        if (project == UnsafeProject)
            return;
        Assert.All(SourcesOf(project), path => Assert.DoesNotMatch(UnsafeWords(), File.ReadAllText(path)));
    }

    private static Layer Find(string project) => Layers.Single(layer => layer.Project == project);

    private static IEnumerable<string> SourcesOf(string project) =>
        Directory.EnumerateFiles(Repository.PathOf("src", project), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal));

    // DllImport and LibraryImport are system calls; the pragma is how the ban on Unsafe and MemoryMarshal could be slipped.
    [GeneratedRegex(@"\bunsafe\b|\bDllImport\b|\bLibraryImport\b|disable\s+RS0030|\bstackalloc\s+\w+\*|\bUnsafeAccessor\b")]
    private static partial Regex UnsafeWords();

    private sealed record Layer(string Project, string[] Uses, string[] Folders);

    /// <summary>What a source file declares, and which names of types may occur in it.</summary>
    /// <remarks>By its words and not by a compiler's model: comments, strings, members after a dot and names that are declared are left
    /// out; what is left of a name that a type has is that type, or should have another name.</remarks>
    private sealed partial record SourceFile(
        string Name, string[] Folders, string Namespace, string[] Types, string[] PublicTypes, HashSet<string> Names)
    {
        internal string Folder => Folders is [var first, ..] ? first : "";

        internal static SourceFile Read(string project, string path)
        {
            string relative = Path.GetRelativePath(Repository.PathOf("src", project), path);
            string text = Holes().Replace(Comments().Replace(File.ReadAllText(path), ""), hole => hole.Groups["hole"].Value);
            Match[] types = Declarations().Matches(text).ToArray();
            HashSet<string> members = [.. Members().Matches(text).Select(match => match.Value)];
            return new SourceFile(
                Path.GetFileName(path),
                [.. relative.Split('/')[..^1]],
                Namespaces().Match(text).Groups[1].Value,
                [.. types.Select(match => match.Groups["name"].Value)],
                [.. types.Where(match => match.Value.StartsWith("public", StringComparison.Ordinal)).Select(match => match.Groups["name"].Value)],
                [.. Words().Matches(text).Select(match => match.Value).Where(name => !members.Contains(name))]);
        }

        [GeneratedRegex(@"//.*")]
        private static partial Regex Comments();

        // Of a string, only what is between braces is code.
        [GeneratedRegex(@"""(?:\\.|[^""\\\n{]|\{(?<hole>[^{}""]*)\})*""", RegexOptions.ExplicitCapture)]
        private static partial Regex Holes();

        [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
        private static partial Regex Namespaces();

        [GeneratedRegex(@"^((public|internal|sealed|static|abstract|readonly|partial|ref|unsafe)\s+)*(class|struct|interface|enum|record struct|record|delegate [\w<>?\[\]]+)\s+(?<name>\w+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
        private static partial Regex Declarations();

        // A type or a modifier before a name, and what a member goes on with after it.
        [GeneratedRegex(@"(?<=[\w>\]?)]\s)(?<!\b(new|return|is|as|out|in|ref|case|not|and|or|when|await|throw|else|where|static|readonly|public|internal|private)\s)[A-Z]\w*(?=\s*(\(|\{|=>|;|=\s))", RegexOptions.ExplicitCapture)]
        private static partial Regex Members();

        [GeneratedRegex(@"(?<![.\w])[A-Z]\w*\b")]
        private static partial Regex Words();
    }
}
