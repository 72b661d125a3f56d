using System.Diagnostics;

namespace Vfio.Tests.Cli;

/// <summary>Standard output and error that are closed, full, or without a reader: an exit code, and at most one line.</summary>
public sealed class StreamTests
{
    [Theory]
    [InlineData("show model:edu >&- 2>&-", 1, 0)]
    [InlineData("show model:edu <&- >&- 2>&-", 1, 0)]
    [InlineData("show nonsense >&- 2>&-", 1, 0)]
    [InlineData("nonsense 2>&-", 2, 0)]
    [InlineData("--help >&- 2>&-", 1, 0)]
    [InlineData("show model:edu >&-", 1, 1)]
    [InlineData("show model:edu --json >/dev/full", 1, 1)]
    [InlineData("show model:edu >/dev/full", 1, 1)]
    [InlineData("bench model:bench --only read --seconds 1ms >/dev/full", 1, 1)]
    [InlineData("nvme model:nvme read >/dev/full", 1, 1)]
    [InlineData("nvme model:nvme read -o /dev/full", 1, 1)]
    [InlineData("check --list >/dev/full", 1, 1)]
    [InlineData("completion bash >/dev/full", 1, 1)]
    [InlineData("show nonsense 2>/dev/full", 1, 0)]
    [InlineData("show --from /", 1, 1)]
    [InlineData("nvme model:nvme write / --yes", 1, 1)]
    [InlineData("nvme model:nvme read -o /", 1, 1)]
    [InlineData("check unix:/nowhere --junit /", 1, 1)]
    [InlineData("poke @/etc/passwd bar0 0 0", 1, 1)]
    public void There_is_an_exit_code_and_at_most_one_line(string words, int code, int lines)
    {
        (int exit, string errors) = Shell($"dotnet '{VfioCommand.Path}' {words}");
        Assert.Equal(code, exit);
        Assert.Equal(lines, errors.Split('\n').Length - 1);
        Assert.DoesNotMatch(@"System\.|Unhandled|   at |Exception|the path is denied\.\n", errors);
        if (lines > 0)
            Assert.StartsWith("vfio: ", errors);
    }

    [Theory]
    [InlineData("show model:edu")]
    [InlineData("check --list")]
    [InlineData("nvme model:nvme read --count 1M")]
    public void A_reader_that_has_enough_ends_it_without_a_word(string words)
    {
        (int exit, string errors) = Shell($"{{ dotnet '{VfioCommand.Path}' {words}; echo $? >&2; }} | head -c 0");
        Assert.Equal((0, "141\n"), (exit, errors));
    }

    [Theory]
    [InlineData(">&-")]
    [InlineData("| head -1")]
    [InlineData(">/dev/full")]
    public void A_server_serves_whether_or_not_anybody_reads_what_it_prints(string output)
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        try
        {
            // The server is the background job; it is ended by its own process id.
            string socket = Path.Combine(folder, "s");
            (int exit, string errors) = Shell(
                $"(sh -c 'echo $$ >\"{folder}/pid\"; exec dotnet \"{VfioCommand.Path}\" serve model:edu --socket \"{socket}\" 2>/dev/null' {output}) & " +
                $"until dotnet '{VfioCommand.Path}' peek 'unix:{socket}' bar0 0 2>/dev/null; do kill -0 $! || exit 9; done; " +
                $"dotnet '{VfioCommand.Path}' peek 'unix:{socket}' bar0 0; code=$?; kill $(cat '{folder}/pid'); wait; exit $code");
            Assert.Equal((0, ""), (exit, errors));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void What_is_added_to_a_file_is_added()
    {
        string file = Path.GetTempFileName();
        try
        {
            (int exit, _) = Shell($"{{ dotnet '{VfioCommand.Path}' peek model:edu bar0 0; dotnet '{VfioCommand.Path}' peek model:edu config 0; }} >'{file}'");
            Assert.Equal(0, exit);
            Assert.Equal("0x010000ed\n0x11e81234\n", File.ReadAllText(file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static (int ExitCode, string Errors) Shell(string command)
    {
        ProcessStartInfo start = new("/bin/bash", ["-c", command]) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        using Process shell = Process.Start(start)!;
        shell.StandardInput.Close();
        Task<string> output = shell.StandardOutput.ReadToEndAsync();
        string errors = shell.StandardError.ReadToEnd();
        output.Wait();
        shell.WaitForExit();
        return (shell.ExitCode, errors);
    }
}
