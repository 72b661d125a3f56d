using System.Diagnostics;

namespace Vfio.Tests.Processes;

/// <summary><c>./vfio</c> where nothing was built yet.</summary>
public sealed class LauncherTests : IDisposable
{
    private readonly string _checkout = Directory.CreateTempSubdirectory("vfio-fresh-").FullName;

    [Fact]
    public async Task Two_that_start_at_once_in_a_fresh_checkout_both_run()
    {
        Copy("src");
        foreach (string file in Directory.GetFiles(Repository.Root, "Directory.*").Select(Path.GetFileName).Concat(["vfio", "global.json", ".editorconfig"])!)
            File.Copy(Repository.PathOf(file), Path.Combine(_checkout, file));
        Task<VfioCommand.Result>[] both = [RunAsync("peek", "model:edu", "bar0", "0"), RunAsync("peek", "model:edu", "bar0", "4")];
        VfioCommand.Result[] ran = await Task.WhenAll(both);
        Assert.All(ran, one => Assert.True(one.ExitCode == 0, one.Output + one.Errors));
        Assert.Equal("0x010000ed\n", ran[0].Output);
        Assert.Equal("0x00000000\n", ran[1].Output);
    }

    public void Dispose() => Directory.Delete(_checkout, recursive: true);

    /// <summary>Copies the sources of a folder, and nothing that a build left there.</summary>
    private void Copy(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(Repository.PathOf(folder), "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(Repository.Root, file);
            if (relative.Split('/').Any(part => part is "bin" or "obj"))
                continue;
            string copy = Path.Combine(_checkout, relative);
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    private async Task<VfioCommand.Result> RunAsync(params string[] words)
    {
        ProcessStartInfo start = new(Path.Combine(_checkout, "vfio"), words) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new VfioCommand.Result(process.ExitCode, await output, await errors);
    }
}
