using System.Text.Json;
using Vfio.Devices.Edu;

namespace Vfio.Tests.Guests;

/// <summary>A guest with devices attached over vfio-user, booted once for many tests.</summary>
/// <remarks>
/// <para>Beside the chipset's functions there are the models of edu and of the benchmark device and the README's counter, each with
/// the line that <c>vfio serve</c> prints, and a function that can do a function level reset. A second edu is in a slot of its own,
/// which can be hot-unplugged, and whose bus Linux can reset.</para>
/// <para>The tests come one at a time, and each leaves the functions bound to vfio-pci in the guest, closed and working.</para>
/// </remarks>
public sealed class GuestFixture : IDisposable
{
    /// <summary>Where what is in the slot comes up in the guest.</summary>
    internal const string InSlot = "0000:01:00.0";

    /// <summary>QEMU's name of what is in the slot.</summary>
    internal const string SlotName = "in-slot";

    private readonly List<IDisposable> _parts = [];
    private readonly Lock _lock = new();
    private GuestMachine? _machine;
    private Exception? _failure;

    /// <summary>Where edu is in the guest.</summary>
    internal string Edu { get; private set; } = "";

    /// <summary>Where the benchmark device is in the guest.</summary>
    internal string Bench { get; private set; } = "";

    /// <summary>Where the counter is in the guest.</summary>
    internal string Counter { get; private set; } = "";

    /// <summary>Where the function with function level reset is in the guest.</summary>
    internal string Express { get; private set; } = "";

    /// <summary>The same function as this process has it.</summary>
    internal ExpressFunction ExpressHere { get; } = new();

    /// <summary>QEMU's arguments for the device in the slot.</summary>
    internal object SlotDevice { get; private set; } = "";

    internal GuestMachine Machine => _machine!;

    private string[] AllFunctions => [Edu, Bench, Counter, Express, InSlot];

    /// <summary>The guest, started; the test is skipped where the parts are missing.</summary>
    internal GuestAgent Need()
    {
        GuestParts.Need();
        lock (_lock)
        {
            Assert.True(_failure is null, _failure?.Message);
            if (_machine is null)
                Start();
        }

        return Machine.Agent;
    }

    /// <summary>Opens a function in the guest.</summary>
    internal FunctionInGuest Open(string function) => new(Need(), function);

    /// <summary>Gives a function to vfio-pci in the guest.</summary>
    internal void Bind(string function)
    {
        Machine.Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{function}/driver_override");
        Machine.Agent.Do($"echo {function} > /sys/bus/pci/drivers_probe");
        Machine.Agent.Do($"test -e /sys/bus/pci/devices/{function}/driver");
    }

    /// <summary>Gives all functions to vfio-pci in the guest, as after a boot.</summary>
    internal void BindAll() => Array.ForEach(AllFunctions, Bind);

    public void Dispose()
    {
        _machine?.Dispose();
        _parts.ForEach(part => part.Dispose());
        ExpressHere.Dispose();
    }

    private void Start()
    {
        try
        {
            ServerProcess edu = Keep(new ServerProcess());
            ServerProcess bench = Keep(ServerProcess.Of("model:bench"));
            AssignedDevice counter = Keep(AssignedDevice.OfReadme());
            AssignedDevice express = Keep(AssignedDevice.Of(ExpressHere));
            AssignedDevice slot = Keep(AssignedDevice.Of(new EduFunction()));
            var socket = new { path = slot.SocketPath, type = "unix" };
            SlotDevice = new { driver = "vfio-user-pci", id = SlotName, bus = "slot1", socket };
            string words = $"{edu.QemuMemory} {edu.QemuDevice} {bench.QemuDevice} {edu.QemuDeviceAt(counter.SocketPath)} "
                + edu.QemuDeviceAt(express.SocketPath);
            _machine = new GuestMachine(words, ["-machine", "q35", "-device", "pcie-root-port,id=slot1,chassis=1",
                "-device", JsonSerializer.Serialize(SlotDevice), .. GuestMachine.HostFiles]);
            Edu = Find("0x1234", "0x11e8");
            Bench = Find("0x5646", "0x5542");
            Counter = Find("0x1234", "0x0001");
            Express = Find("0x1234", "0x0002");
            BindAll();
        }
        catch (Exception error)
        {
            _failure = error;
            throw;
        }
    }

    private T Keep<T>(T part)
        where T : IDisposable
    {
        _parts.Add(part);
        return part;
    }

    private string Find(string vendor, string device)
    {
        string[] found = Machine.Agent
            .Do("cd /sys/bus/pci/devices; for f in *; do echo $f $(cat $f/vendor $f/device); done").Split('\n');
        string[][] words = [.. found.Select(line => line.Split(' '))];
        return Assert.Single(words, word => word[0] != InSlot && word[1] == vendor && word[2] == device)[0];
    }
}
