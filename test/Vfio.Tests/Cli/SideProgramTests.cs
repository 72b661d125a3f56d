using Vfio.Cli.Side;

namespace Vfio.Tests.Cli;

/// <summary>Where the command finds a program of its own that does a verb.</summary>
public sealed class SideProgramTests : IDisposable
{
    private static readonly SideProgram Program = new("verb", "vfio-verb", "Vfio.Verb");
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-side-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Beside_the_commands_own_file_it_is_started_as_it_is()
    {
        string file = Make("bin/vfio-verb");
        Assert.Equal([file], Program.Find(Path.Combine(_folder, "bin/vfio"), Path.Combine(_folder, "bin"))!);
    }

    [Fact]
    public void Beside_the_assembly_it_is_run_by_the_host_that_runs_this_one()
    {
        string assembly = Make("lib/Vfio.Verb.dll");
        Assert.Equal(["/usr/bin/dotnet", assembly], Program.Find("/usr/bin/dotnet", Path.Combine(_folder, "lib/"))!);
    }

    [Fact]
    public void In_a_checkout_it_is_where_its_project_is_built()
    {
        string assembly = Make("src/Vfio.Verb/bin/Release/net10.0/Vfio.Verb.dll");
        Assert.Equal(["/usr/bin/dotnet", assembly], Program.Find("/usr/bin/dotnet", Path.Combine(_folder, "src/Vfio.Cli/bin/Release/net10.0/"))!);
    }

    [Fact]
    public void A_tool_is_run_by_the_dotnet_that_runs_this_one_and_not_by_the_first_in_PATH()
    {
        string assembly = Make("lib/Vfio.Verb.dll");
        string[] start = Program.Find(Path.Combine(_folder, "tools/vfio"), Path.Combine(_folder, "lib/"))!;
        Assert.Equal(assembly, start[1]);

        // System.Private.CoreLib.dll is in shared/Microsoft.NETCore.App/VERSION/ below the folder of dotnet.
        string? root = Path.GetDirectoryName(typeof(object).Assembly.Location);
        for (int i = 0; i < 3; i++)
            root = Path.GetDirectoryName(root);
        Assert.Equal(Path.Combine(root!, "dotnet"), start[0]);
    }

    [Fact]
    public void Beside_dotnet_nothing_is_looked_for_and_what_is_nowhere_is_not_found()
    {
        Make("bin/vfio-verb");
        Assert.Null(Program.Find(Path.Combine(_folder, "bin/dotnet"), _folder));
        Assert.Null(Program.Find(Path.Combine(_folder, "vfio"), _folder));
    }

    private string Make(string name)
    {
        string path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
        return path;
    }
}
