using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Vfio.Tests.Processes;

/// <summary><c>vfio run</c> as a user runs it: how a program starts and ends under it, and what is left afterwards.</summary>
public sealed class RunTests
{
    private const int Term = 15, Kill = 9;

    [Theory]
    [InlineData(0, "true")]
    [InlineData(7, "sh", "-c", "exit 7")]
    [InlineData(128 + Kill, "sh", "-c", "kill -9 $$")]
    [InlineData(127, "no-such-program")]
    [InlineData(127, "/nowhere/at/all")]
    [InlineData(126, "/etc/passwd")]
    public void The_exit_code_is_the_programs_as_a_shell_has_it(int code, params string[] program) =>
        Assert.Equal(code, Run(program).ExitCode);

    [Theory]
    [InlineData]
    [InlineData("--no-mmap")]
    public void A_signal_for_the_command_is_the_programs(params string[] options)
    {
        using Process run = Start(options, "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done");
        Assert.Equal("up", run.StandardOutput.ReadLine());
        Signal(run.Id, Term);
        run.WaitForExit();
        Assert.Equal(5, run.ExitCode);
    }

    [Theory]
    [InlineData]
    [InlineData("--no-mmap")]
    public void A_command_that_is_killed_leaves_neither_process_nor_file(params string[] options)
    {
        using Process run = Start(options, "sh", "-c", "echo $$; exec sleep 1000");
        int program = int.Parse(run.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        Assert.NotEmpty(FoldersOf(run.Id));
        run.Kill();
        run.WaitForExit();
        Await(() => !IsAlive(program) && FoldersOf(run.Id).Length == 0);
    }

    [Fact]
    public void A_program_that_kills_its_supervisor_ends_and_leaves_nothing()
    {
        using Process run = Start([], "sh", "-c", "echo $$; kill -9 $PPID; exec 2>/dev/null; sleep 1000");
        int program = int.Parse(run.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        run.WaitForExit();
        Await(() => !IsAlive(program) && FoldersOf(run.Id).Length == 0);
    }

    [Fact]
    public void A_process_that_outlives_the_program_keeps_its_devices()
    {
        VfioCommand.Result result = Run("sh", "-c", "(while kill -0 $$ 2>/dev/null; do sleep 0.05; done; ls /dev/vfio) & exit 4");
        Assert.Equal(4, result.ExitCode);
        Assert.Contains("vfio", result.Output);
    }

    [Theory]
    [InlineData]
    [InlineData("--no-mmap")]
    public void A_signal_ends_what_outlives_the_program(params string[] options)
    {
        using Process run = Start(options, "sh", "-c", "sleep 1000 & echo $$ $!");
        int[] processes = [.. run.StandardOutput.ReadLine()!.Split(' ').Select(word => int.Parse(word, CultureInfo.InvariantCulture))];
        int left = processes[1];
        Await(() => !IsAlive(processes[0]));
        Assert.True(IsAlive(left));
        Await(() =>
        {
            Signal(run.Id, Term);
            return run.WaitForExit(TimeSpan.FromMilliseconds(100));
        });
        Assert.Equal(0, run.ExitCode);
        Await(() => !IsAlive(left));
    }

    [Fact]
    public void A_log_on_a_full_disk_ends_with_a_line_and_not_the_program()
    {
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "model:edu", "--log", "/dev/full", "--", "dotnet", VfioCommand.Path, "peek", "0000:01:00.0", "bar0", "0x0");
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("0000ed", result.Output);
        Assert.Contains("/dev/full", Assert.Single(result.Errors.TrimEnd().Split('\n')));
    }

    [Fact]
    public void A_parent_sees_that_its_child_is_stopped_and_continues_it()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/perl"), "perl is the program");
        const string WasUntraced = "2", Stopped = "0x7f";
        VfioCommand.Result result = Run(
            "perl", "-e", "$p = fork(); if (!$p) { kill 'STOP', $$; exit 3 } " +
            $"waitpid($p, {WasUntraced}); print 'stopped' if (${{^CHILD_ERROR_NATIVE}} & 0xff) == {Stopped}; kill 'CONT', $p; waitpid($p, 0); exit($? >> 8)");
        Assert.Equal("stopped", result.Output);
        Assert.Equal(3, result.ExitCode);
    }

    [Fact]
    public void A_run_in_a_run_is_refused_in_one_line()
    {
        VfioCommand.Result result = Run("dotnet", VfioCommand.Path, "run", "--device", "model:edu", "--", "true");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("cannot be nested", Assert.Single(result.Errors.TrimEnd().Split('\n')));
    }

    [Theory]
    [InlineData(101, "ptrace_scope")]
    [InlineData(317, "seccomp=unconfined")]
    [InlineData(438, "SYS_PTRACE")]
    public void Where_a_call_is_forbidden_one_line_says_what_to_do(int call, string hint)
    {
        string deny = TestPrograms.Find("deny-call");
        ProcessStartInfo start = new(deny, [call.ToString(CultureInfo.InvariantCulture), "dotnet", VfioCommand.Path, "run", "--device", "model:edu", "--", "true"])
        {
            RedirectStandardError = true,
        };
        using Process run = Process.Start(start)!;
        string errors = run.StandardError.ReadToEnd();
        run.WaitForExit();
        Assert.Equal(1, run.ExitCode);
        Assert.Contains(hint, Assert.Single(errors.TrimEnd().Split('\n')));
        Assert.Empty(FoldersOf(run.Id));
    }

    [Fact]
    public void A_fault_that_was_asked_for_is_what_the_program_sees()
    {
        // QEMU's docs/specs/edu.rst: identification 0x010000ed at 0, here of version 0x42.
        string[] peek = ["dotnet", VfioCommand.Path, "peek", "0000:01:00.0", "bar0", "0x0"];
        VfioCommand.Result read = VfioCommand.Run(["run", "--device", "model:edu", "--inject", "read=bar0:0x0=0x420000ed", "--", .. peek]);
        Assert.Contains("420000ed", read.Output);
        VfioCommand.Result gone = VfioCommand.Run(["run", "--device", "model:edu", "--inject", "unplug", "--", .. peek]);
        Assert.DoesNotContain("0000ed", gone.Output);
        Assert.NotEqual(0, gone.ExitCode);
        VfioCommand.Result none = VfioCommand.Run("run", "--device", "model:edu", "--inject", "explode", "--", "true");
        Assert.Equal(2, none.ExitCode);
        Assert.Contains("'explode' is no fault", none.Errors);
    }

    [Theory]
    [InlineData]
    [InlineData("-static")]
    public void Every_kind_of_instruction_reaches_a_mapped_register(params string[] options)
    {
        VfioCommand.Result result = Run(TestPrograms.Find("vfio-registers", options));
        Assert.Equal("", result.Errors);
        Assert.Contains("vfio-registers", result.Output);
        Assert.Equal(0, result.ExitCode);
    }

    [Fact]
    public void A_process_whose_first_thread_has_ended_drives_its_device()
    {
        VfioCommand.Result result = Run(TestPrograms.Find("vfio-registers"), "alone");
        Assert.Equal("", result.Errors);
        Assert.Contains("vfio-registers", result.Output);
        Assert.Equal(0, result.ExitCode);
    }

    [Theory]
    [InlineData("/dev/vfio/vfio")]
    [InlineData("/dev/iommu", "iommufd")]
    public void What_a_program_leaves_behind_fails_its_run_with_a_line_for_each(string file, params string[] words)
    {
        VfioCommand.Result result = RunLeaks("leak", [.. words, "mappings", "master", "eventfd"]);
        Assert.Equal(99, result.ExitCode);
        Assert.Equal(
            [
                "vfio: leak: 0000:01:00.0: bus mastering was on when it was closed",
                "vfio: leak: 0000:01:00.0: MSI had an eventfd when it was closed",
                $"vfio: leak: {file}: 1 mapping of 0x1000 bytes, the first at 0x100000, left when it was closed",
            ], result.Errors.TrimEnd().Split('\n'));
        Assert.Equal("", RunLeaks("leak,dma-fault,unmapped", words).Errors);
        Assert.Equal("", RunLeaks("dma-fault", [.. words, "mappings"]).Errors);
        Assert.Equal(0, RunLeaks("unmapped", [.. words, "mappings"]).ExitCode);
    }

    [Theory]
    [InlineData]
    [InlineData("iommufd")]
    public void What_a_device_misses_fails_the_run_of_the_program_that_let_it(params string[] words)
    {
        VfioCommand.Result fault = RunLeaks("dma-fault", [.. words, "fault"]);
        Assert.Equal(99, fault.ExitCode);
        Assert.Equal("vfio: dma-fault: 0000:01:00.0: read 64 bytes at 0x8000000, where nothing is mapped for it, or not so\n", fault.Errors);

        // A code of the program's own is what the run's is.
        VfioCommand.Result unmapped = RunLeaks("unmapped", [.. words, "unmapped", "fault", "fail"]);
        Assert.Equal(5, unmapped.ExitCode);
        Assert.Matches("^vfio: unmapped: a device: read 64 bytes at 0x[0-9a-f]+ of process [0-9]+, which is mapped for DMA and not in its memory any more\n$", unmapped.Errors);
    }

    [Fact]
    public void What_is_nothing_to_fail_on_is_refused()
    {
        VfioCommand.Result result = VfioCommand.Run("run", "--device", "model:edu", "--fail-on", "leak,all", "--", "true");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("'all' is nothing to fail on: use dma-fault, unmapped, leak", result.Errors);
    }

    [Fact]
    public void Without_mapping_registers_are_read_by_descriptors_of_any_number()
    {
        VfioCommand.Result result = VfioCommand.Run("run", "--device", "model:edu", "--no-mmap", "--", TestPrograms.Find("vfio-registers"), "unmapped");
        Assert.Equal("", result.Output + result.Errors);
        Assert.Equal(0, result.ExitCode);
    }

    [Fact]
    public void A_log_has_what_the_program_did_and_json_has_the_sums()
    {
        string log = Path.GetTempFileName();
        try
        {
            VfioCommand.Result result = VfioCommand.Run(
                "run", "--device", "model:edu", "--json", "--log", log, "--", TestPrograms.Find("vfio-registers"));
            string lines = File.ReadAllText(log);
            Assert.Contains(" open /dev/vfio/vfio = 0\n", lines);
            Assert.Contains(" ioctl VFIO_GROUP_SET_CONTAINER = 0\n", lines);
            Assert.Contains(" read 0000:01:00.0 BAR0 0x0 0x010000ed\n", lines);
            Assert.Contains(" write 0000:01:00.0 BAR0 0x4 0x12345678\n", lines);
            Assert.Contains(" open /dev/vfio/1 = -16\n", lines);
            using JsonDocument sums = JsonDocument.Parse(result.Errors);
            Assert.Equal(0, sums.RootElement.GetProperty("exitCode").GetInt32());
            Assert.InRange(sums.RootElement.GetProperty("mappedAccesses").GetInt64(), 1500, 1800);
        }
        finally
        {
            File.Delete(log);
        }
    }

    [Fact]
    public void A_program_sees_its_devices_at_their_addresses()
    {
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "0000:05:00.0=model:edu", "-d", "model:nvme", "--", "sh", "-c",
            "cd /; for f in /sys/bus/pci/devices/*; do echo ${f##*/} $(cat $f/vendor $f/device) $(readlink $f/driver); done; find /dev/vfio | sort; test -c /dev/iommu");
        Assert.Equal(
            """
            0000:01:00.0 0x5646 0x4e56 ../../../bus/pci/drivers/vfio-pci
            0000:05:00.0 0x1234 0x11e8 ../../../bus/pci/drivers/vfio-pci
            /dev/vfio
            /dev/vfio/1
            /dev/vfio/2
            /dev/vfio/devices
            /dev/vfio/devices/vfio0
            /dev/vfio/devices/vfio1
            /dev/vfio/vfio

            """, result.Output);
        Assert.Equal(0, result.ExitCode);
    }

    [Theory]
    [InlineData("cat \"$d/$f/vendor\"")]
    [InlineData("cd $d; cat $f/vendor")]
    [InlineData("readlink $d/$f >/dev/null && find $d/ -maxdepth 1 -lname \"*$f\" -printf '%f\\n'")]
    public void The_machines_own_functions_are_beside_ours_where_that_is_asked_for(string look)
    {
        const string Folder = "/sys/bus/pci/devices";
        Assert.SkipUnless(Directory.Exists(Folder) && Directory.EnumerateFileSystemEntries(Folder).Any(), "this machine has no PCI functions");
        string ours = Path.Combine(Folder, "0000:42:00.0");
        Assert.SkipWhen(Directory.Exists(ours), "this machine has a function there");
        string[] script = ["sh", "-c", $"d={Folder}; for f in $(ls $d); do ({look}); done"];
        using Process outside = Process.Start(new ProcessStartInfo(script[0], script[1..]) { RedirectStandardOutput = true })!;
        string alone = outside.StandardOutput.ReadToEnd();
        outside.WaitForExit();
        string[] words = ["run", "--device", "0000:42:00.0=model:edu", "--no-mmap"];
        VfioCommand.Result beside = VfioCommand.Run([.. words, "--ordinary-sys", "--", .. script]);
        VfioCommand.Result only = VfioCommand.Run([.. words, "--", .. script]);
        Assert.Equal("", beside.Errors);
        Assert.Single(only.Output.TrimEnd().Split('\n'));
        Assert.Equal((alone + only.Output).Split('\n').Order(), beside.Output.Split('\n').Order());
    }

    [Theory]
    [InlineData("import os; d = os.open('/sys/bus/pci/drivers', os.O_RDONLY); p", "os.open(p + '/../../../../../../../etc/passwd', os.O_RDONLY, dir_fd=d)")]
    [InlineData("import os; d = os.open('/sys/bus/pci/drivers', os.O_RDONLY); p", "os.stat(p + '/../../../../../../../../proc/self', dir_fd=d)")]
    [InlineData("import os; d = os.open('/sys/bus/pci/drivers', os.O_RDONLY); p", "os.open('vfio-pci/../../../../../../../../etc/passwd', os.O_WRONLY, dir_fd=d)")]
    public void No_path_leads_from_the_machines_own_functions_out_of_sysfs(string begin, string look)
    {
        const string Folder = "/sys/bus/pci/drivers";
        Assert.SkipUnless(File.Exists("/usr/bin/python3") && Directory.Exists(Folder) && Directory.EnumerateDirectories(Folder).Any(), "no python3, or no drivers");
        string name = Path.GetFileName(Directory.EnumerateDirectories(Folder).First());
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "0000:42:00.0=model:edu", "--no-mmap", "--ordinary-sys", "--", "/usr/bin/python3", "-c",
            $"{begin} = '{name}'\nos.stat(p, dir_fd=d)\nos.close(os.open(p, os.O_RDONLY, dir_fd=d))\ntry: {look}\nexcept FileNotFoundError: print('none')");
        Assert.Equal(("", "none\n"), (result.Errors, result.Output));
    }

    [Fact]
    public void Who_gave_up_their_rights_open_no_file_of_the_machines_own_functions_with_ours()
    {
        const string Folder = "/sys/bus/pci/drivers";
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root has rights to give up");
        Assert.SkipUnless(File.Exists("/usr/bin/python3") && Directory.Exists(Folder) && Directory.EnumerateDirectories(Folder).Any(), "no python3, or no drivers");
        string name = Path.GetFileName(Directory.EnumerateDirectories(Folder).First());
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "0000:42:00.0=model:edu", "--no-mmap", "--ordinary-sys", "--", "/usr/bin/python3", "-c",
            $"import os; d = os.open('{Folder}', os.O_RDONLY); os.close(os.open('{name}/uevent', os.O_WRONLY, dir_fd=d)); os.setgid(65534); os.setuid(65534)\n"
            + $"os.listdir(os.open('{name}', os.O_RDONLY, dir_fd=d))\ntry: os.open('{name}/uevent', os.O_WRONLY, dir_fd=d)\nexcept PermissionError: print('refused')");
        Assert.Equal(("", "refused\n"), (result.Errors, result.Output));
    }

    [Fact]
    public void Lspci_shows_what_the_device_has()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/lspci"), "lspci is not installed");
        VfioCommand.Result result = Run("lspci", "-n", "-vv");
        Assert.StartsWith("01:00.0 00ff: 1234:11e8", result.Output);
        Assert.Contains("[size=1M]", result.Output);
        Assert.Contains("Kernel driver in use: vfio-pci", result.Output);
    }

    [Fact]
    public void Our_own_driver_finds_the_disk_through_iommufd()
    {
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "model:nvme?size=16M", "--", "dotnet", VfioCommand.Path, "nvme", "0000:01:00.0", "identify");
        Assert.Equal("", result.Errors);
        Assert.Contains("16777216", result.Output);
    }

    [Fact]
    public void Qemus_own_nvme_driver_writes_and_reads_back()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-io"), "qemu-io is not installed (Debian: qemu-utils)");
        VfioCommand.Result result = VfioCommand.Run(
            "run", "--device", "model:nvme?size=64M", "--", "qemu-io", "-f", "raw", "-c", "write -P 0xa5 4k 64k", "-c", "read -P 0xa5 4k 64k",
            "-c", "read -P 0 0 4k", "-c", "write -P 7 1M 8M", "-c", "flush", "-c", "read -P 7 1M 8M", "nvme://0000:01:00.0/1");
        Assert.Equal("", result.Errors);
        Assert.DoesNotContain("failed", result.Output);
        Assert.Equal(3, result.Output.Split("read ").Length - 1);
        Assert.Equal(0, result.ExitCode);
    }

    [Fact]
    public void An_ordinary_user_needs_no_right()
    {
        Assert.SkipUnless(Environment.UserName == "root" && File.Exists("/usr/bin/setpriv"), "only root can become another user");
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        try
        {
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
            new Vfio.Cli.Demo.OwnProgram(Path.GetDirectoryName(VfioCommand.Path)!).CopyTo(folder);
            string[] words = ["run", "--device", "model:edu", "--", TestPrograms.Find("vfio-registers")];
            ProcessStartInfo start = new(
                "setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/", "dotnet", Path.Combine(folder, "Vfio.Cli.dll"), .. words])
            {
                RedirectStandardOutput = true,
                WorkingDirectory = "/",
            };
            using Process run = Process.Start(start)!;
            string output = run.StandardOutput.ReadToEnd();
            run.WaitForExit();
            Assert.Contains("vfio-registers", output);
            Assert.Equal(0, run.ExitCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static VfioCommand.Result RunLeaks(string kinds, string[] words) =>
        VfioCommand.Run(["run", "--device", "model:edu", "--fail-on", kinds, "--", TestPrograms.Find("vfio-leaks"), .. words]);

    private static VfioCommand.Result Run(params string[] program) => VfioCommand.Run(["run", "--device", "model:edu", "--", .. program]);

    private static Process Start(string[] options, params string[] program) => VfioCommand.Start(["run", "--device", "model:edu", .. options, "--", .. program]);

    private static string[] FoldersOf(int command) => Directory.GetDirectories("/dev/shm", $"vfio-run-{command}-*");

    private static bool IsAlive(int process)
    {
        try
        {
            // Who is left to its parent, and not waited for yet, is no process any more.
            return !File.ReadLines($"/proc/{process}/status").Any(line => line.StartsWith("State:\tZ", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static void Await(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, HangGuard.Timeout));

    private static void Signal(int process, int signal) => Process.Start("kill", [$"-{signal}", $"{process}"]).WaitForExit();
}
