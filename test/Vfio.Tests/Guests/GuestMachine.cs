using System.Collections.Concurrent;
using System.Diagnostics;

namespace Vfio.Tests.Guests;

/// <summary>A virtual machine with Linux in it, started. Ended when disposed.</summary>
internal sealed class GuestMachine : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-guest-").FullName;
    private readonly GuestLine _agentLine;
    private readonly GuestLine _monitorLine;
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly Process _process;

    /// <summary>QEMU's arguments that share the files of this machine with the guest, to be read: in the guest, <c>chroot /host</c>
    /// runs a program of this machine.</summary>
    public static IReadOnlyList<string> HostFiles { get; } =
    [
        "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
    ];

    /// <summary>Boots.</summary>
    /// <param name="attachment">What to paste into a shell's line for QEMU; has a memory backend of 1 GiB, <c>mem</c>.</param>
    /// <param name="words">More of QEMU's arguments.</param>
    public GuestMachine(string attachment, params string[] words)
        : this([], attachment, words)
    {
    }

    /// <summary>Boots under a program that runs another one.</summary>
    /// <param name="launcher">That program and its arguments, before QEMU's; none for QEMU alone.</param>
    /// <param name="attachment">As there.</param>
    /// <param name="words">As there.</param>
    public GuestMachine(string[] launcher, string attachment, string[] words)
    {
        GuestParts parts = GuestParts.Need();
        _agentLine = new GuestLine(PathOf("agent"));
        _monitorLine = new GuestLine(PathOf("monitor"));

        // Guest memory that edu's DMA engine, with its 28 bits, reaches all of; an IOMMU is used where the machine has one.
        const string CommandLine = "console=ttyS0 panic=-1 random.trust_cpu=on mem=240M intel_iommu=on vfio.enable_unsafe_noiommu_mode=1";
        string[] all =
        [
            "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1G",
            "-kernel", parts.Kernel, "-initrd", parts.Initramfs, "-append", CommandLine,
            "-chardev", $"file,id=console,path={PathOf("console")}", "-serial", "chardev:console",
            "-chardev", $"socket,id=agent,path={PathOf("agent")}", "-serial", "chardev:agent",
            "-chardev", $"socket,id=monitor,path={PathOf("monitor")}", "-object", "monitor-qmp,id=qmp,chardev=monitor",
            .. words,
        ];
        string[] line = [.. launcher, "bash", "-c", $"exec \"$0\" \"$@\" {attachment}", GuestParts.Qemu, .. all];
        ProcessStartInfo start = new(line[0], line[1..])
        {
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => _errors.Enqueue(line.Data ?? "");
        _process.BeginErrorReadLine();
        try
        {
            _agentLine.Accept(() => IsAlive);
            _monitorLine.Accept(() => IsAlive);
            Monitor = new Monitor(_monitorLine);
            Monitor.Greet();
            Agent = new GuestAgent(_agentLine);
            Agent.WaitUntilReady();
        }
        catch (Exception error)
        {
            string message = $"the guest does not start: {error.Message}\n{Errors}\n{Console}";
            Dispose();
            throw new InvalidOperationException(message, error);
        }
    }

    public Monitor Monitor { get; }

    public GuestAgent Agent { get; }

    public bool IsAlive => !_process.HasExited;

    /// <summary>What QEMU wrote to standard error.</summary>
    public string Errors => string.Join('\n', _errors);

    /// <summary>What the guest wrote to its console.</summary>
    public string Console => File.Exists(PathOf("console")) ? File.ReadAllText(PathOf("console")) : "";

    /// <summary>Switches the guest off from within, and gives QEMU's exit code.</summary>
    public int PowerOff()
    {
        _agentLine.Write("stop");
        Assert.True(_process.WaitForExit(TestTimeout), "QEMU does not end");
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (IsAlive)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _agentLine.Dispose();
        _monitorLine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);
}
