using System.Numerics;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Cli.Demo;

/// <summary>The process that owns the device: it serves it on a socket, and reads the real function behind the guard.</summary>
internal sealed class OwnerSteps : IDisposable
{
    private const int VendorIdOffset = 0x00, CommandOffset = 0x04, Bar0Offset = 0x10, CapabilityPointer = 0x34;
    private const uint BusMaster = 4;
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(10);

    private readonly string _socket;
    private readonly EduFunction _function = new();
    private readonly GuardedFunction _guard;
    private readonly VfioUserServer _server;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;
    private uint _realBar;
    private int _eventFds;

    /// <summary>Starts to serve.</summary>
    /// <param name="socket">Where.</param>
    /// <param name="user">The owner of the socket; null for this process' own user.</param>
    internal OwnerSteps(string socket, string? user)
    {
        _socket = socket;
        _guard = new GuardedFunction(_function);
        _server = new VfioUserServer(
            _guard.Open, new VfioUserServerOptions { Path = socket, Owner = user is null ? null : UserAccount.Find(user) });
        _running = _server.RunAsync(_end.Token);
        Steps = new Dictionary<string, Func<StepResult>>
        {
            ["who"] = () => new("who serves it?", $"user {Environment.UserName}, process {Environment.ProcessId}, at {_socket}", true),
            ["remember"] = Remember,
            ["ids"] = Ids,
            ["msi"] = Msi,
            ["bar"] = Bar,
            ["dma"] = Dma,
            ["quiet"] = Quiet,
            ["holds"] = Holds,
        };
    }

    /// <summary>The steps by name.</summary>
    internal IReadOnlyDictionary<string, Func<StepResult>> Steps { get; }

    private static int UserMappings =>
        File.ReadLines("/proc/self/maps").Count(line => line.Contains("memfd:vfio-dma", StringComparison.Ordinal));

    private static int EventFds =>
        Directory.EnumerateFiles("/proc/self/fd").Count(path => new FileInfo(path).LinkTarget == "anon_inode:[eventfd]");

    private int MsiOffset => (int)_function.ReadConfig(CapabilityPointer, 1);

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        _running.Wait(TestTimeout);
        _server.Dispose();
        _guard.Dispose();
        _end.Dispose();
    }

    private StepResult Remember()
    {
        _realBar = _function.ReadConfig(Bar0Offset, 4);
        _eventFds = EventFds;
        return new StepResult("where is its BAR0 really?", $"at 0x{_realBar:x8}", _realBar != 0);
    }

    private StepResult Ids()
    {
        uint ids = _function.ReadConfig(VendorIdOffset, 4);
        long refused = _guard.Refusals.ConfigBits;
        return new StepResult(
            "the hardware's ids", $"0x{ids:x8}; the guard refused to change {refused} bits", refused >= BitOperations.PopCount(~ids));
    }

    private StepResult Msi()
    {
        uint address = _function.ReadConfig(MsiOffset + 4, 4);
        return new StepResult("the hardware's MSI address", $"0x{address:x8}: the owner's, not the user's", address != UserSteps.MsiAddress);
    }

    private StepResult Bar()
    {
        uint bar = _function.ReadConfig(Bar0Offset, 4);
        return new StepResult("the hardware's BAR0", $"0x{bar:x8}, as before", bar == _realBar);
    }

    private StepResult Dma() =>
        new("what the guard saw", $"{_guard.Refusals.DmaAccesses} DMA access refused", _guard.Refusals.DmaAccesses > 0);

    private StepResult Quiet()
    {
        // The user's close reaches this process as the end of a connection; the session ends a moment later.
        SpinWait.SpinUntil(() => !_guard.IsOpen, TestTimeout);
        uint command = _function.ReadConfig(CommandOffset, 2);
        bool busMaster = (command & BusMaster) != 0;
        return new StepResult(
            "the hardware's command register", $"0x{command:x4}: bus master {(busMaster ? "on" : "off")}", !_guard.IsOpen && !busMaster);
    }

    private StepResult Holds()
    {
        SpinWait.SpinUntil(() => UserMappings == 0 && EventFds == _eventFds, TestTimeout);
        return new StepResult(
            "what of the user's does the owner still hold? (/proc/self/fd and maps)",
            $"{EventFds - _eventFds} interrupt eventfds, {UserMappings} mappings of its memory",
            UserMappings == 0 && EventFds == _eventFds);
    }
}
