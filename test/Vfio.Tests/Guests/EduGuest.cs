using Vfio.User;

namespace Vfio.Tests.Guests;

/// <summary>A guest with the model of edu attached over vfio-user, booted once for many tests.</summary>
/// <remarks>The tests come one at a time, and each leaves the function bound to vfio-pci in the guest, closed and working.</remarks>
public sealed class EduGuest : IDisposable
{
    private readonly Lock _gate = new();
    private ServerProcess? _server;
    private GuestMachine? _machine;

    /// <summary>Where the device is in the guest.</summary>
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
        _machine = new GuestMachine(server.WaitForQemuWords(), "-machine", "q35", "-device", "pcie-root-port,id=port,chassis=1");
        Function = Assert.Single(Find());
        Bind(Function);
        return _machine;
    }
}
