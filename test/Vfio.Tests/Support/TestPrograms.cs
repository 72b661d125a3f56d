using System.Diagnostics;

namespace Vfio.Tests;

/// <summary>Programs in C of <c>data</c>, compiled once a run; a test is skipped without a compiler.</summary>
internal static class TestPrograms
{
    private static readonly Lazy<string> Folder = new(MakeFolder);
    private static readonly Dictionary<string, string> Compiled = [];

    /// <summary>The program's path.</summary>
    /// <param name="name">The file of <c>data</c>, without its end.</param>
    /// <param name="options">Options of gcc.</param>
    public static string Find(string name, params string[] options)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/gcc"), "gcc is not installed");
        lock (Compiled)
        {
            string key = string.Join(' ', [name, .. options]);
            if (Compiled.TryGetValue(key, out string? known))
                return known;
            string program = Path.Combine(Folder.Value, key.Replace(' ', '_'));
            using Process compiler = Process.Start(
                "gcc", ["-O1", "-Wall", "-Werror", "-pthread", .. options, "-o", program, Repository.PathOf("test", "Vfio.Tests", "data", name + ".c")]);
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
            Compiled.Add(key, program);
            return program;
        }
    }

    private static string MakeFolder()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-programs-").FullName;
        File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    }
}
