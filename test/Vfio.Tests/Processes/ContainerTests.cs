using System.Diagnostics;

namespace Vfio.Tests.Processes;

/// <summary>Programs in containers of podman, which get devices of a broker by a CDI specification.</summary>
/// <remarks>As root, with podman and runc, and the command as one native file, which is all that the container's image has.</remarks>
public sealed class ContainerTests : IDisposable
{
    private const string Alice = "65533", Bob = "65532";
    private readonly string _folder = Broker.BrokerRig.MakeFolder();
    private readonly string _kind = $"vfio-test-{Guid.NewGuid():N}";
    private Process? _broker;

    // Where podman looks; only for as long as the test runs.
    private string Specification => $"/run/cdi/{_kind}.json";

    public void Dispose()
    {
        if (_broker is not null)
        {
            _broker.Kill();
            _broker.WaitForExit();
            _broker.Dispose();
        }

        File.Delete(Specification);
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_program_in_a_container_drives_the_device_that_the_policy_gives_its_user()
    {
        Need();
        string policy = Path.Combine(_folder, "policy.json"), socket = Path.Combine(_folder, "s");
        File.WriteAllText(policy, $$"""
            { "devices": { "{{_kind}}": { "address": "model:edu" } },
              "rules": [ { "name": "alice", "users": [{{Alice}}], "devices": ["{{_kind}}"] } ] }
            """);
        _broker = Process.Start(new ProcessStartInfo(
            NativeFile.Path, ["broker", "--policy", policy, "--socket", socket, "--audit", Path.Combine(_folder, "audit")])
        {
            RedirectStandardOutput = true,
        })!;
        Assert.Equal($"ready {socket}", _broker.StandardOutput.ReadLine());
        Directory.CreateDirectory("/run/cdi");
        File.WriteAllText(Specification, Do(NativeFile.Path, "cdi", "--policy", policy, "--broker", socket).Output);
        MakeImage();

        Result given = Run(Alice, "/bin/vfio", "peek", $"lease:{_kind}", "bar0", "0");
        Assert.True(given.ExitCode == 0, given.Output);
        Assert.Equal("0x010000ed", given.Output.Trim());
        Result refused = Run(Bob, "/bin/vfio", "peek", $"lease:{_kind}", "bar0", "0");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("(errno 13)", refused.Output, StringComparison.Ordinal);
        string audit = File.ReadAllText(Path.Combine(_folder, "audit"));
        Assert.Contains($"\"uid\":{Alice}", audit, StringComparison.Ordinal);
        Assert.Contains($"\"uid\":{Bob}", audit, StringComparison.Ordinal);
        Podman("rmi", "--force", _kind);
    }

    private static void Need()
    {
        NativeFile.Need();
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can start containers here");
        foreach (string program in new[] { "/usr/bin/podman", "/usr/sbin/runc" })
            Assert.SkipUnless(File.Exists(program), $"{program} is not installed");
    }

    /// <summary>An image of the native file and its libraries.</summary>
    private void MakeImage()
    {
        string tree = Path.Combine(_folder, "tree");
        Directory.CreateDirectory(Path.Combine(tree, "bin"));
        Directory.CreateDirectory(Path.Combine(tree, "tmp"));
        Directory.CreateDirectory(Path.Combine(tree, "run/vfio"));
        File.Copy(NativeFile.Path, Path.Combine(tree, "bin/vfio"));
        foreach (string library in Do("ldd", NativeFile.Path).Output.Split().Where(word => word.StartsWith('/')))
        {
            string copy = Path.Combine(tree, library[1..]);
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(library, copy);
        }

        string image = Path.Combine(_folder, "image.tar");
        Do("tar", "-C", tree, "-c", "-f", image, ".");
        Result import = Podman("import", image, _kind);
        Assert.True(import.ExitCode == 0, import.Output);
    }

    // No network and no device; limits that a process without CAP_SYS_RESOURCE may set.
    private Result Run(string user, params string[] words) => Podman(
        ["run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--user", $"{user}:{user}",
            "--device", $"vfio.dev/device={_kind}", _kind, .. words]);

    private Result Podman(params string[] words) => Do(
        "podman",
        ["--root", Path.Combine(_folder, "root"), "--runroot", Path.Combine(_folder, "runroot"), "--storage-driver", "vfs",
            "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc", .. words]);

    private static Result Do(string program, params string[] words)
    {
        ProcessStartInfo start = new(program, words) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return new Result(process.ExitCode, output);
    }

    private readonly record struct Result(int ExitCode, string Output);
}
