using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Memory;
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
    public async Task Its_output_environment_and_folder_are_the_callers_choice()
    {
        using FileDescriptor output = MemoryFile.CreateUnsealed("output", 0);
        RunProgram program = new("sh", "-c", "echo $GREETING $PWD; ls /sys/bus/pci/devices")
        {
            StandardOutput = output,
            WorkingDirectory = "/tmp",
            Environment = new Dictionary<string, string?> { ["GREETING"] = "hello", ["PWD"] = null },
        };
        using VfioRun run = VfioRun.Start(program, [Edu with { Address = new PciAddress(0, 7, 3, 1) }, Edu]);
        Assert.Equal(0, await run.Exit.WaitAsync(HangGuard.Timeout));
        Assert.Equal("hello /tmp\n0000:01:00.0\n0000:07:03.1\n", TextOf(output));
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

    private static string TextOf(FileDescriptor file)
    {
        using FileStream stream = new($"/proc/self/fd/{file.Number}", FileMode.Open, FileAccess.Read);
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
