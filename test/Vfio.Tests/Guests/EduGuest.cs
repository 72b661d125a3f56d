using Vfio.User;

namespace Vfio.Tests.Guests;

/// <summary>A guest with the model of edu attached over vfio-user, booted once for many tests.</summary>
/// <remarks>
/// <para>The device is there twice: beside the chipset's functions, as the printed line attaches it, and in a slot of its own, whose
/// bus Linux can reset. A second slot is empty.</para>
/// <para>The tests come one at a time, and each leaves the functions bound to vfio-pci in the guest, closed and working.</para>
/// </remarks>
public sealed class EduGuest : IDisposable
{
    private readonly Lock _gate = new();
    private ServerProcess? _server;
    private GuestMachine? _machine;

    /// <summary>Where what is put into the empty slot comes up in the guest.</summary>
    internal const string Plugged = "0000:01:00.0";

    /// <summary>Where the device in the slot is in the guest.</summary>
    internal const string InSlot = "0000:02:00.0";

    /// <summary>Where the device is that was attached with the printed line.</summary>
    internal string Function { get; private set; } = "";

    internal ServerProcess Server => _server!;

    internal GuestMachine Machine => _machine!;

    /// <summary>The guest, started; the test is skipped where the parts are missing.</summary>
    internal GuestAgent Need()
    {
        GuestParts.Need();
        lock (_gate)
        {
            _server ??= new ServerProcess();
            _machine ??= Start(_server);
        }

        return _machine.Agent;
    }

    /// <summary>Connects to the server beside QEMU; a device of its own.</summary>
    internal VfioUserClient ConnectBeside() => VfioUserClient.Connect(Server.SocketPath);

    /// <summary>Gives the function to vfio-pci in the guest.</summary>
    internal void Bind(string function)
    {
        Machine.Agent.Do($"echo vfio-pci > /sys/bus/pci/devices/{function}/driver_override");
        Machine.Agent.Do($"echo {function} > /sys/bus/pci/drivers_probe");
        Machine.Agent.Do($"test -e /sys/bus/pci/devices/{function}/driver");
    }

    /// <summary>Gives both functions to vfio-pci in the guest, as they are after a boot.</summary>
    internal void Bind()
    {
        Bind(Function);
        Bind(InSlot);
    }

    /// <summary>Opens the function in the guest, as a driver that may use memory and be bus master.</summary>
    internal EduInGuest Open(string function)
    {
        Machine.Agent.Do($"open {function}");
        return new EduInGuest(Machine.Agent, function);
    }

    /// <summary>The functions in the guest that are edu devices.</summary>
    internal string[] Find() => Machine.Agent
        .Do("cd /sys/bus/pci/devices; for f in *; do if [ $(cat $f/vendor $f/device | tr -d '\\n') = 0x12340x11e8 ]; then echo $f; fi; done")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public void Dispose()
    {
        _machine?.Dispose();
        _server?.Dispose();
    }

    private GuestMachine Start(ServerProcess server)
    {
        _machine = new GuestMachine(server.WaitForQemuWords(), "-machine", "q35",
            "-device", "pcie-root-port,id=empty,chassis=1", "-device", "pcie-root-port,id=slot,chassis=2",
            "-device", $$$"""{"driver":"vfio-user-pci","bus":"slot","socket":{"path":"{{{server.SocketPath}}}","type":"unix"}}""");
        Function = Assert.Single(Find(), function => function != InSlot);
        Bind();
        return _machine;
    }
}
