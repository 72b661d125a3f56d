using System.Diagnostics;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Vfio.Tests.Processes;

/// <summary>An empty folder outside the checkout where the packages are used as a newcomer does, and everything of it is built once:
/// a project of each template, and one for each example of the README. Nothing of it is elsewhere, and nothing stays.</summary>
/// <remarks>The packages are this checkout's; <c>packaging/pack</c> makes those that are not there yet. Others come from the machine's
/// sources, or from where it keeps what it has restored before.</remarks>
public sealed partial class PackageWorkspace : IAsyncLifetime
{
    /// <summary>Names that a namespace cannot have and that it can.</summary>
    internal const string Driver = "my-driver", Device = "Acme.Counter";

    /// <summary>Programs of the README's examples.</summary>
    internal const string ReadmeDriver = "Factorial", ReadmeDevice = "Counting";

    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-packages-").FullName;

    /// <summary>Where the packages are.</summary>
    internal static string Feed { get; } = Repository.PathOf("artifacts", "packages");

    /// <summary>Their version.</summary>
    internal static string Version { get; } =
        (string)XDocument.Load(Repository.PathOf("Directory.Build.props")).Descendants("Version").Single();

    /// <summary>The command, installed as a tool.</summary>
    internal string Tool => PathOf("tool", "vfio");

    /// <summary>What the build said.</summary>
    internal string BuildOutput { get; private set; } = "";

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        // The demo of root runs its driver as nobody, from a copy below TMPDIR.
        File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);
        Directory.CreateDirectory(PathOf("tmp"));
        await DoAsync(Repository.PathOf("packaging", "pack"));
        WriteNugetConfig(await DoAsync("dotnet", "nuget", "list", "source"));

        await DoAsync("dotnet", ["new", "install", Path.Combine(Feed, $"Vfio.Templates.{Version}.nupkg"), .. Hive]);
        await DoAsync("dotnet", ["new", "vfio-driver", "-o", Driver, "--no-update-check", .. Hive]);
        await DoAsync("dotnet", ["new", "vfio-device", "-o", Device, "--no-update-check", .. Hive]);
        string[] examples = [.. CSharpBlock().Matches(File.ReadAllText(Repository.PathOf("README.md"))).Select(match => match.Groups[1].Value)];
        await CreateAsync(ReadmeDriver, "Vfio", examples[..1], """
            Console.WriteLine(FactorialDriver.Compute(args[0], 10));
            """);
        await CreateAsync(ReadmeDevice, "Vfio.Devices", examples[1..], """
            using System.Runtime.InteropServices;

            using CancellationTokenSource stop = new();
            using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
            {
                signal.Cancel = true;
                stop.Cancel();
            });
            CounterServer.Serve(args[0], stop.Token);
            """);

        string[] projects =
        [
            $"{Driver}/src/{Driver}.csproj", $"{Driver}/tests/{Driver}.Tests.csproj", $"{Device}/src/{Device}.csproj",
            $"{Device}/tests/{Device}.Tests.csproj", $"{ReadmeDriver}/{ReadmeDriver}.csproj", $"{ReadmeDevice}/{ReadmeDevice}.csproj",
        ];
        XElement solution = new("Solution", projects.Select(project => new XElement("Project", new XAttribute("Path", project))));
        solution.Save(PathOf("All.slnx"));
        BuildOutput = await DoAsync(
            "dotnet", "build", "All.slnx", "-nologo", "-warnaserror", "-p:TreatWarningsAsErrors=true", "-p:NuGetAudit=false");
        await DoAsync("dotnet", "tool", "install", "Vfio.Tool", "--tool-path", PathOf("tool"), "--version", Version);
        await DoAsync("dotnet", "tool", "install", "Vfio.Web", "--tool-path", PathOf("tool"), "--version", Version);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>A file or folder of the workspace.</summary>
    internal string PathOf(params string[] parts) => Path.Combine([_folder, .. parts]);

    /// <summary>The program that a project was built to.</summary>
    internal string ProgramOf(string project, string folder = "") =>
        PathOf(project, folder, "bin", "Debug", "net10.0", folder == "tests" ? project + ".Tests" : project);

    /// <summary>Runs a program in the workspace, or a folder of it, to its end.</summary>
    /// <returns>What it printed; it ended well.</returns>
    internal async Task<string> DoAsync(string program, params string[] words) => await DoInAsync("", program, words);

    /// <inheritdoc cref="DoAsync"/>
    internal async Task<string> DoInAsync(string folder, string program, params string[] words)
    {
        using Process process = Start(folder, program, words);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', words)}: exit code {process.ExitCode}\n{output}");
        return output;
    }

    /// <summary>Starts a program in a folder of the workspace, with all that it leaves in the workspace too.</summary>
    internal Process Start(string folder, string program, params string[] words)
    {
        ProcessStartInfo start = new(program, words)
        {
            WorkingDirectory = PathOf(folder),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = PathOf("tmp");
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["UseSharedCompilation"] = "false";
        if (program != Repository.PathOf("packaging", "pack"))
            start.Environment["NUGET_PACKAGES"] = PathOf("packages");
        return Process.Start(start)!;
    }

    private string[] Hive => ["--debug:custom-hive", PathOf("templates")];

    /// <summary>A console program of one package, as <c>dotnet new console</c> and <c>dotnet add package</c> make it.</summary>
    private async Task CreateAsync(string name, string package, string[] sources, string program)
    {
        Directory.CreateDirectory(PathOf(name));
        File.WriteAllText(PathOf(name, name + ".csproj"), """
            <Project Sdk="Microsoft.NET.Sdk">

              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
              </PropertyGroup>

            </Project>
            """);
        File.WriteAllText(PathOf(name, "Program.cs"), program);
        for (int i = 0; i < sources.Length; i++)
            File.WriteAllText(PathOf(name, $"Example{i}.cs"), sources[i]);
        await DoInAsync(name, "dotnet", "add", "package", package, "--version", Version, "--no-restore");
    }

    // The machine's sources stay as they are; they are just not asked for this project's packages, and what they gave before is at hand.
    private void WriteNugetConfig(string sources)
    {
        string kept = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        XElement mapping = new("packageSourceMapping", Mapped("vfio", "Vfio", "Vfio.*"));
        mapping.Add(EnabledSource().Matches(sources).Select(match => Mapped(match.Groups[1].Value, "*")));
        new XElement("configuration", new XElement("packageSources", Added("vfio", Feed)),
            new XElement("fallbackPackageFolders", Directory.Exists(kept) ? Added("machine", kept) : null), mapping)
            .Save(PathOf("nuget.config"));

        static XElement Added(string key, string value) => new("add", new XAttribute("key", key), new XAttribute("value", value));

        static XElement Mapped(string source, params string[] patterns) => new("packageSource", new XAttribute("key", source),
            patterns.Select(pattern => new XElement("package", new XAttribute("pattern", pattern))));
    }

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();

    // "  1.  nuget.org [Enabled]", and its place on the next line.
    [GeneratedRegex(@"^ *\d+\. +(.*) \[Enabled\]$", RegexOptions.Multiline)]
    private static partial Regex EnabledSource();
}
