using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Vfio.Native;

namespace Vfio.Tests.Processes;

/// <summary>The broker as a process, and its users as processes of two other users.</summary>
public sealed class BrokerTests : IDisposable
{
    private const string Alice = "65533", Bob = "65532";
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = Broker.BrokerRig.MakeFolder();
    private readonly List<Process> _brokers = [];

    private string SocketPath => Path.Combine(_folder, "s");

    private string PolicyPath => Path.Combine(_folder, "policy.json");

    public void Dispose()
    {
        foreach (Process broker in _brokers)
        {
            if (!broker.HasExited)
                broker.Kill();
            broker.WaitForExit();
            broker.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Two_users_have_a_device_each_and_not_the_others()
    {
        NeedOtherUsers();
        Start(TwoUsers);
        Assert.Equal("0x010000ed", RunAs(Alice, "peek", "lease:edu0", "bar0", "0").Output.Trim());
        Assert.Equal("0x010000ed", RunAs(Bob, "peek", "lease:edu1", "bar0", "0").Output.Trim());
        VfioCommand.Result refused = RunAs(Bob, "peek", "lease:edu0", "bar0", "0");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("(errno 13)", refused.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_has_the_device_while_it_runs_and_its_exit_code_is_the_verbs()
    {
        NeedOtherUsers();
        Start(TwoUsers);
        VfioCommand.Result result = RunAs(
            Alice, "lease", "edu0", "--", "sh", "-c", $"dotnet {VfioCommand.Path} peek $VFIO_DEVICE bar0 0; dotnet {VfioCommand.Path} leases; exit 7");
        Assert.Equal(7, result.ExitCode);
        Assert.StartsWith("0x010000ed", result.Output, StringComparison.Ordinal);
        Assert.Contains("edu0", result.Output, StringComparison.Ordinal);
        Assert.Contains("no leases", RunAs(Alice, "leases").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_device_of_a_holder_that_is_killed_is_free()
    {
        NeedOtherUsers();
        Start("""{ "name": "both", "users": [65533, 65532], "devices": ["edu0"] }""");
        using Process holder = StartAs(Alice, "lease", "edu0");
        Assert.StartsWith("lease 1: edu0", holder.StandardOutput.ReadLine(), StringComparison.Ordinal);
        Assert.Contains("(errno 16)", RunAs(Bob, "peek", "lease:edu0", "bar0", "0").Errors, StringComparison.Ordinal);
        holder.Kill();
        holder.WaitForExit();
        Assert.Equal("0x010000ed", RunAs(Bob, "peek", "lease:edu0", "bar0", "0").Output.Trim());
    }

    [Fact]
    public void An_administrator_revokes_a_lease_and_its_holder_ends()
    {
        NeedOtherUsers();
        Start(TwoUsers);
        using Process holder = StartAs(Alice, "lease", "edu0");
        holder.StandardOutput.ReadLine();
        Assert.Equal(1, RunAs(Bob, "revoke", "edu0").ExitCode);
        Assert.Contains("has ended", RunAs("0", "revoke", "edu0").Output, StringComparison.Ordinal);
        holder.WaitForExit();
        Assert.Equal(1, holder.ExitCode);
    }

    [Fact]
    public void A_policy_is_read_again_at_SIGHUP_and_the_broker_ends_at_SIGTERM()
    {
        NeedOtherUsers();
        Process broker = Start(TwoUsers);
        Write("""{ "name": "bob", "users": [65532], "devices": ["edu0"] }""");
        Signal(broker, "HUP");
        WaitForAudit("policy");
        Assert.Equal(1, RunAs(Alice, "peek", "lease:edu0", "bar0", "0").ExitCode);
        Assert.Equal(0, RunAs(Bob, "peek", "lease:edu0", "bar0", "0").ExitCode);
        Signal(broker, "TERM");
        Assert.True(broker.WaitForExit(TestTimeout));
        Assert.Equal(0, broker.ExitCode);
        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public void Users_of_a_broker_that_is_killed_see_it_and_the_next_one_serves_them()
    {
        NeedOtherUsers();
        Process broker = Start(TwoUsers);
        using Process holder = StartAs(Alice, "lease", "edu0");
        holder.StandardOutput.ReadLine();
        using PciDevice own = new(VfioDevice.Open($"lease:edu2?broker={SocketPath}"));
        broker.Kill();
        Assert.Throws<VfioException>(() => own.OpenBar(0).Read32(0));
        holder.WaitForExit();
        Assert.NotEqual(0, holder.ExitCode);
        Start(TwoUsers);
        Assert.Equal(0, RunAs(Alice, "peek", "lease:edu0", "bar0", "0").ExitCode);
    }

    [Fact]
    public void A_user_who_ends_at_any_step_leaves_a_device_that_is_free_and_as_new()
    {
        Start(Everything);
        using Broker.LeaseSteps counted = new(SocketPath);
        for (int steps = 0; steps <= counted.Count; steps++)
        {
            using (Broker.LeaseSteps user = new(SocketPath))
                user.Do(steps);
            AssertAsNew();
        }
    }

    [Fact]
    public void A_broker_that_is_killed_at_any_step_of_a_user_leaves_nothing_and_the_next_one_serves()
    {
        using Broker.LeaseSteps counted = new(SocketPath);
        for (int steps = 0; steps <= counted.Count; steps++)
        {
            Process broker = Start(Everything);
            using Broker.LeaseSteps user = new(SocketPath);
            user.Do(steps);
            broker.Kill();
            broker.WaitForExit();

            // What comes next fails at once, whatever it is, and nothing reaches the user's memory.
            if (steps < counted.Count)
                Assert.Throws<VfioException>(() => user.Do(counted.Count));
            user.AssertMemoryIsLeftAlone();
        }

        Start(Everything);
        AssertAsNew();
    }

    [Fact]
    public void A_thousand_leases_one_after_the_other_leave_nothing()
    {
        Process broker = Start(Everything);
        string address = $"lease:edu0?broker={SocketPath}";

        // The runtime has files, pipes and memory of its own, which come and go.
        int Descriptors() => Directory.EnumerateFileSystemEntries($"/proc/{broker.Id}/fd").Select(LinkOf).Count(target =>
            target.StartsWith("socket:", StringComparison.Ordinal) || target.Contains("eventfd", StringComparison.Ordinal)
                || (target.StartsWith("/memfd:", StringComparison.Ordinal) && !target.Contains("doublemapper", StringComparison.Ordinal)
                    && !target.Contains("dotnet", StringComparison.Ordinal)));
        int MemoryFiles() => File.ReadLines($"/proc/{broker.Id}/maps").Count(line =>
            line.Contains("/memfd:", StringComparison.Ordinal) && !line.Contains("doublemapper", StringComparison.Ordinal));
        int Threads() => Directory.EnumerateFileSystemEntries($"/proc/{broker.Id}/task").Count();
        void Lease(int count)
        {
            for (int i = 0; i < count; i++)
            {
                using PciDevice edu = new(VfioDevice.Open(address));
                using DmaBuffer buffer = edu.AllocateDma(4096);
                Assert.Equal(0x0100_00edu, edu.OpenBar(0).Read32(0));
            }
        }

        Lease(50);
        int before = Descriptors(), memory = MemoryFiles();
        Lease(1000);
        Assert.True(
            SpinWait.SpinUntil(() => Descriptors() <= before && MemoryFiles() <= memory && Threads() < 40, TestTimeout),
            $"{before} descriptors became {Descriptors()}, {memory} mappings {MemoryFiles()}, and there are {Threads()} threads");
    }

    [Fact]
    public void A_policy_is_checked_with_line_and_column_and_explained()
    {
        Write(TwoUsers);
        Assert.Contains("is valid: 3 devices, 2 rules", VfioCommand.Run("policy", "check", PolicyPath).Output, StringComparison.Ordinal);
        VfioCommand.Result refused = VfioCommand.Run("policy", "explain", "root", "edu0", "--policy", PolicyPath);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("root does not get edu0", refused.Output, StringComparison.Ordinal);
        Write("""{ "name": "all", "users": ["root"], "devices": ["edus"], "memory": "64M" }""");
        VfioCommand.Result given = VfioCommand.Run("policy", "explain", "root", "edus", "--policy", PolicyPath, "--json");
        using JsonDocument explained = JsonDocument.Parse(given.Output);
        Assert.Equal("edu0", explained.RootElement.GetProperty("device").GetString());
        Assert.Equal("all", explained.RootElement.GetProperty("rule").GetString());
        File.WriteAllText(PolicyPath, "{\n  \"devices\": {},\n  \"rulez\": []\n}\n");
        VfioCommand.Result wrong = VfioCommand.Run("policy", "check", PolicyPath);
        Assert.Equal(1, wrong.ExitCode);
        Assert.Contains($"{PolicyPath}:3:3: ", wrong.Output, StringComparison.Ordinal);
        using JsonDocument schema = JsonDocument.Parse(VfioCommand.Run("policy", "schema").Output);
        Assert.Equal("object", schema.RootElement.GetProperty("type").GetString());
    }

    [Fact]
    public void A_service_manager_hears_that_the_broker_is_ready_reloads_lives_and_stops()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/perl"), "perl plays the service manager");
        Write(TwoUsers);
        string notify = Path.Combine(_folder, "notify");
        const string Manager = "socket($s,1,2,0);bind($s,pack('Sa*',1,$ARGV[0]));print \"bound\\n\";$|=1;while(defined recv($s,$m,4096,0)){$m=~s/\\n/ /g;print \"$m\\n\"}";
        using Process manager = Process.Start(new ProcessStartInfo("/usr/bin/perl", ["-e", "$|=1;" + Manager, notify]) { RedirectStandardOutput = true })!;
        try
        {
            Assert.Equal("bound", manager.StandardOutput.ReadLine());
            Process broker = Start(TwoUsers, ("NOTIFY_SOCKET", notify), ("WATCHDOG_USEC", "200000"));
            string? ReadUntil(string start)
            {
                string? line = manager.StandardOutput.ReadLine();
                while (line?.StartsWith(start, StringComparison.Ordinal) == false)
                    line = manager.StandardOutput.ReadLine();
                return line;
            }

            Assert.Equal("READY=1 STATUS=3 devices, 2 rules", ReadUntil("READY=1"));
            Assert.Equal("WATCHDOG=1", ReadUntil("WATCHDOG=1"));
            Signal(broker, "HUP");
            Assert.Contains("MONOTONIC_USEC=", ReadUntil("RELOADING=1"), StringComparison.Ordinal);
            Assert.NotNull(ReadUntil("READY=1"));
            Signal(broker, "TERM");
            Assert.NotNull(ReadUntil("STOPPING=1"));
        }
        finally
        {
            manager.Kill();
            manager.WaitForExit();
        }
    }

    private const string TwoUsers = """
        { "name": "alice", "users": [65533], "devices": ["edu0"] },
        { "name": "others", "users": [65532, 0], "devices": ["edu1", "edu2"] }
        """;

    private const string Everything = """{ "name": "all", "users": ["*"], "devices": ["*"] }""";

    private void AssertAsNew()
    {
        using PciDevice edu = new(VfioDevice.Open($"lease:edu0?broker={SocketPath}"));
        Assert.False(edu.IsBusMaster);
        Bar bar = edu.OpenBar(0);
        Assert.Equal(0u, bar.Read32(0x20) & 0x80);
        Assert.Equal(0u, bar.Read32(0x24));
        Assert.Equal(0UL, bar.Read64(0x98) & 1);
    }

    private static string LinkOf(string entry)
    {
        try
        {
            return new FileInfo(entry).LinkTarget ?? "";
        }
        catch (IOException)
        {
            // Closed meanwhile.
            return "";
        }
    }

    private static void NeedOtherUsers() => Assert.SkipUnless(
        UserAccount.IsRoot && File.Exists("/usr/bin/setpriv"), "only root can start a process as another user");

    private void Write(string rules)
    {
        string devices = string.Join(", ", Enumerable.Range(0, 3).Select(i => $$"""  "edu{{i}}": { "address": "model:edu", "pool": "edus" } """));
        File.WriteAllText(PolicyPath, $$"""{ "devices": { {{devices}} }, "rules": [ {{rules}} ] }""");
    }

    private Process Start(string rules, params (string Name, string Value)[] environment)
    {
        Write(rules);
        ProcessStartInfo start = new(
            "dotnet", [VfioCommand.Path, "broker", "--policy", PolicyPath, "--socket", SocketPath, "--audit", Path.Combine(_folder, "audit")])
        {
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        Process broker = Process.Start(start)!;
        _brokers.Add(broker);
        Assert.Equal($"ready {SocketPath}", broker.StandardOutput.ReadLine());
        return broker;
    }

    private Process StartAs(string user, params string[] words)
    {
        ProcessStartInfo start = new(
            "setpriv", ["--reuid", user, "--regid", user, "--clear-groups", "dotnet", VfioCommand.Path, .. words])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["VFIO_BROKER"] = SocketPath;
        start.Environment["HOME"] = "/";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return Process.Start(start)!;
    }

    private VfioCommand.Result RunAs(string user, params string[] words)
    {
        using Process process = StartAs(user, words);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new VfioCommand.Result(process.ExitCode, output, errors.Result);
    }

    private static void Signal(Process process, string signal)
    {
        using Process kill = Process.Start("kill", ["-" + signal, process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private void WaitForAudit(string happened) => Assert.True(
        SpinWait.SpinUntil(
            () => File.ReadAllText(Path.Combine(_folder, "audit")).Contains($"\"event\":\"{happened}\"", StringComparison.Ordinal), TestTimeout),
        $"the audit has no {happened}");
}
