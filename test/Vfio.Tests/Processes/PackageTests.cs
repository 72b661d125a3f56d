using System.Diagnostics;
using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace Vfio.Tests.Processes;

/// <summary>The packages in a feed, and the first five minutes with them: README's "Install" from top to bottom.</summary>
public sealed class PackageTests(PackageWorkspace workspace) : IClassFixture<PackageWorkspace>
{
    // Portable PDB format, CustomDebugInformation table: embedded source.
    private static readonly Guid EmbeddedSource = new("0e8a571b-6926-466e-b4ad-8ab04611f5fe");

    private static readonly string[] Libraries =
    [
        "Vfio", "Vfio.Conformance", "Vfio.Core", "Vfio.Devices", "Vfio.Drivers", "Vfio.Guard", "Vfio.Kernel", "Vfio.Native", "Vfio.Net",
        "Vfio.Pci", "Vfio.Testing", "Vfio.Tracing", "Vfio.User",
    ];

    public static TheoryData<string> Packages => [.. Libraries, "Vfio.Tool", "Vfio.Web", "Vfio.Templates"];

    public static TheoryData<string> LibraryPackages => [.. Libraries];

    [Fact]
    public void The_feed_has_every_package_and_no_other()
    {
        IEnumerable<string> files = Directory.GetFiles(PackageWorkspace.Feed, "*.nupkg").Select(file => Path.GetFileName(file)).Order();
        Assert.Equal(Packages.Select(package => $"{package.Data}.{PackageWorkspace.Version}.nupkg").Order(), files);
    }

    [Theory]
    [MemberData(nameof(Packages))]
    public void A_package_has_all_that_a_registry_shows(string package)
    {
        using ZipArchive archive = Open(package);
        XElement metadata = ReadMetadata(archive);
        Assert.Equal(package, Value("id"));
        Assert.Equal("MIT", Value("license"));
        Assert.InRange(Value("description").Length, 40, 250);
        Assert.Contains("vfio", Value("tags"));
        Assert.StartsWith($"# {package}\n", Text(Value("readme")));
        Assert.Equal([0x89, 0x50, 0x4e, 0x47], Bytes(archive, Value("icon"))[..4]);

        string Value(string name) => metadata.Elements().Single(element => element.Name.LocalName == name).Value;

        string Text(string name) => System.Text.Encoding.UTF8.GetString(Bytes(archive, name));
    }

    [Theory]
    [MemberData(nameof(LibraryPackages))]
    public void A_package_takes_exactly_its_own_version_of_the_others(string package)
    {
        using ZipArchive archive = Open(package);
        XElement[] dependencies = [.. ReadMetadata(archive).Descendants()
            .Where(element => element.Name.LocalName == "dependency" && ((string)element.Attribute("id")!).StartsWith("Vfio", StringComparison.Ordinal))];
        Assert.Equal(package is "Vfio.Native" or "Vfio.Pci", dependencies.Length == 0);
        Assert.All(dependencies, dependency => Assert.Equal($"[{PackageWorkspace.Version}]", (string?)dependency.Attribute("version")));
    }

    [Theory]
    [MemberData(nameof(LibraryPackages))]
    public void An_assembly_is_reproducible_and_its_symbols_have_the_sources(string package)
    {
        using ZipArchive archive = Open(package);
        using ZipArchive symbols = Open(package, "snupkg");
        ZipArchiveEntry[] assemblies = [.. archive.Entries.Where(entry => entry.Name.EndsWith(".dll", StringComparison.Ordinal))];
        Assert.NotEmpty(assemblies);
        Assert.All(assemblies, assembly =>
        {
            using PEReader image = new(new MemoryStream(Bytes(archive, assembly.FullName)));
            Assert.Contains(image.ReadDebugDirectory(), entry => entry.Type == DebugDirectoryEntryType.Reproducible);
            Assert.NotNull(archive.GetEntry(Path.ChangeExtension(assembly.FullName, ".xml")));

            string file = Path.ChangeExtension(assembly.FullName, ".pdb");
            using MetadataReaderProvider provider = MetadataReaderProvider.FromPortablePdbStream(new MemoryStream(Bytes(symbols, file)));
            MetadataReader reader = provider.GetMetadataReader();
            Assert.All(reader.Documents, document => Assert.Contains(
                reader.GetCustomDebugInformation(document), kind => reader.GetGuid(reader.GetCustomDebugInformation(kind).Kind) == EmbeddedSource));
        });
    }

    [Fact]
    public void No_project_of_a_newcomer_has_a_warning() => Assert.Contains(" 0 Warning(s)", workspace.BuildOutput);

    [Fact]
    public async Task A_driver_from_the_template_passes_its_test_and_drives_a_model()
    {
        string tests = await workspace.DoInAsync(PackageWorkspace.Driver, "dotnet", "test", "--project", "tests", "--no-build");
        Assert.Contains("succeeded: 5", tests);
        string program = workspace.ProgramOf(PackageWorkspace.Driver, "src");
        Assert.Equal("model:edu: 10! = 3628800\n", await workspace.DoAsync(program));
        using ServerProcess server = new();
        Assert.Equal($"unix:{server.SocketPath}: 10! = 3628800\n", await workspace.DoAsync(program, "unix:" + server.SocketPath));
    }

    [Fact]
    public async Task A_device_from_the_template_passes_its_test_and_is_served()
    {
        string tests = await workspace.DoInAsync(PackageWorkspace.Device, "dotnet", "test", "--project", "tests", "--no-build");
        Assert.Contains("succeeded: 2", tests);
        await ServeAsync(workspace.ProgramOf(PackageWorkspace.Device, "src"));
    }

    [Fact]
    public async Task The_readmes_driver_needs_the_package_Vfio_alone() =>
        Assert.Equal("3628800\n", await workspace.DoAsync(workspace.ProgramOf(PackageWorkspace.ReadmeDriver), "model:edu"));

    [Fact]
    public async Task The_readmes_device_needs_the_package_Vfio_Devices_alone() =>
        await ServeAsync(workspace.ProgramOf(PackageWorkspace.ReadmeDevice));

    [Fact]
    public async Task The_tool_prints_its_version_commit_and_runtime_and_shows_a_model()
    {
        string version = await workspace.DoAsync(workspace.Tool, "--version");
        Assert.StartsWith($"vfio {PackageWorkspace.Version} (", version);
        Assert.Contains($".NET {Environment.Version}", version);
        if (Path.Exists(Repository.PathOf(".git")))
        {
            string commit = await workspace.DoAsync("git", "-C", Repository.Root, "rev-parse", "HEAD");
            Assert.Contains($"commit {commit[..12]}", version);
        }

        Assert.Contains("1234:11e8", await workspace.DoAsync(workspace.Tool, "show", "model:edu"));
    }

    [Fact]
    public async Task The_page_is_a_tool_beside_the_command() =>
        Assert.Contains("--trace", await workspace.DoAsync(workspace.PathOf("tool", "vfio-web"), "--help"));

    [Fact]
    public async Task The_tool_plays_the_demo() =>
        Assert.Contains("Every step succeeded", await workspace.DoAsync(workspace.Tool, "demo"));

    /// <summary>A program serves the counter, the tool writes a register of it and reads it back, and the program ends when it is cancelled.</summary>
    private async Task ServeAsync(string program)
    {
        string socket = workspace.PathOf("counter.sock");
        using Process server = workspace.Start("", program, socket);
        Task<string> errors = server.StandardError.ReadToEndAsync();
        Assert.True(SpinWait.SpinUntil(() => File.Exists(socket) || server.HasExited, HangGuard.Timeout));
        Assert.False(server.HasExited);
        try
        {
            Assert.Equal("0x00000005\n", await workspace.DoAsync(workspace.Tool, "poke", "unix:" + socket, "bar0", "4", "5"));
            await workspace.DoAsync("kill", server.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            await server.WaitForExitAsync();
        }
        finally
        {
            server.Kill();
        }

        Assert.Equal((0, ""), (server.ExitCode, await errors));
        Assert.False(File.Exists(socket));
    }

    private static ZipArchive Open(string package, string kind = "nupkg") =>
        ZipFile.OpenRead(Path.Combine(PackageWorkspace.Feed, $"{package}.{PackageWorkspace.Version}.{kind}"));

    private static XElement ReadMetadata(ZipArchive archive)
    {
        using Stream stream = archive.Entries.Single(entry => entry.Name.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return XDocument.Load(stream).Root!.Elements().Single();
    }

    private static byte[] Bytes(ZipArchive archive, string name)
    {
        using Stream stream = archive.GetEntry(name)!.Open();
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
