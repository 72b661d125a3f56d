using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Pci;
using Vfio.Run;

namespace Vfio.Tests.Run;

/// <summary>The library's <see cref="VfioRun"/>: a foreign program in a test, on the test's own model.</summary>
public sealed class VfioRunTests
{
    private static RunDevice Edu
    {
        get
        {
            GuardedFunction guard = new(new EduFunction());
            return new RunDevice(guard.Open);
        }
    }

    private static RunProgram Registers => new("sh", "-c", "exec \"$0\" >/dev/null", TestPrograms.Find("vfio-registers"));

    [Fact]
    public async Task A_program_drives_the_tests_own_model()
    {
        using VfioRun run = VfioRun.Start(Registers, [Edu]);
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        await run.Completion.WaitAsync(HangGuard.Timeout);
        Assert.InRange(run.Counts.RegisterReads, 1500, 1800);
        Assert.Equal(0, run.Counts.DmaAccesses);
    }

    [Fact]
    public async Task What_it_leaves_behind_is_a_finding()
    {
        using VfioRun run = VfioRun.Start(new RunProgram(TestPrograms.Find("vfio-leaks"), "mappings", "fault"), [Edu]);
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        await run.Completion.WaitAsync(HangGuard.Timeout);
        Assert.Equal(
            [
                (RunFindingKind.DmaFault, "0000:01:00.0", "read 64 bytes at 0x8000000, where nothing is mapped for it, or not so"),
                (RunFindingKind.Leak, "/dev/vfio/vfio", "1 mapping of 0x1000 bytes, the first at 0x100000, left when it was closed"),
            ], run.Findings.Select(finding => (finding.Kind, finding.Device, finding.Message)));
    }

    [Fact]
    public async Task Its_output_environment_and_folder_are_the_callers_choice()
    {
        using ProgramOutput output = new();
        RunProgram program = new("sh", "-c", "echo $GREETING $PWD; ls /sys/bus/pci/devices")
        {
            StandardOutput = output.File,
            WorkingDirectory = "/tmp",
            Environment = new Dictionary<string, string?> { ["GREETING"] = "hello", ["PWD"] = null },
        };
        using VfioRun run = VfioRun.Start(program, [Edu with { Address = new PciAddress(0, 7, 3, 1) }, Edu]);
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        Assert.Equal("hello /tmp\n0000:01:00.0\n0000:07:03.1\n", output.Text);
    }

    [Fact]
    public async Task Disposing_it_ends_all_that_the_program_started()
    {
        VfioRun run = VfioRun.Start(new RunProgram("sh", "-c", "sleep 1000 & sleep 1000 & wait"), [Edu]);
        string[] folders = Directory.GetDirectories("/dev/shm", $"vfio-run-{Environment.ProcessId}-*");
        run.Dispose();
        Assert.True(run.Completion.IsCompleted);
        Assert.Equal(128 + 9, await run.Exit);
        Assert.False(Directory.Exists($"/proc/{run.ProcessId}"));
        Assert.NotEmpty(folders);
    }

    [Fact]
    public async Task Two_runs_at_once_have_devices_of_their_own()
    {
        using VfioRun one = VfioRun.Start(Registers, [Edu]);
        using VfioRun two = VfioRun.Start(Registers, [Edu]);
        int[] codes = await Task.WhenAll(one.Exit, two.Exit).WaitAsync(HangGuard.Timeout);
        Assert.All(codes, code => Assert.Equal(0, code));
    }

    [Fact]
    public void What_cannot_be_started_is_refused_with_its_errno()
    {
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => VfioRun.Start(new RunProgram("no-such-program"), [])).Errno);
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => VfioRun.Start(new RunProgram("/etc/passwd"), [])).Errno);
        RunDevice placed = Edu with { Address = new PciAddress(0, 1, 0, 0) };
        Assert.Throws<ArgumentException>(() => VfioRun.Start(new RunProgram("true"), [placed, placed]));
    }
}
