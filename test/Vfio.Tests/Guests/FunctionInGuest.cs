namespace Vfio.Tests.Guests;

/// <summary>A function that vfio-pci assigns inside the guest, open. Closed when disposed.</summary>
internal sealed class FunctionInGuest : IDisposable
{
    /// <summary>VFIO's numbers of the kinds of interrupts.</summary>
    public const int Intx = 0, Msi = 1, Msix = 2;

    /// <summary>What the agent says when there is no interrupt.</summary>
    public const int TimedOut = 110;

    private readonly GuestAgent _agent;
    private readonly string _address;

    /// <summary>Opens it, and lets it decode memory and be bus master.</summary>
    public FunctionInGuest(GuestAgent agent, string address)
    {
        _agent = agent;
        _address = address;
        agent.Do($"open {address}");
        Enable();
    }

    /// <summary>Turns memory decoding and bus mastering on: at the start, and after a reset.</summary>
    public void Enable() => WriteConfig(0x04, 0x0006, 2);

    public void WriteConfig(uint offset, uint value, int bytes) => _agent.Do($"config {offset} {bytes} {value}");

    /// <summary>Writes 2 bytes of config space past what vfio-pci in the guest lets its users write.</summary>
    public void WriteConfigBeside(uint offset, int value)
    {
        string bytes = $"\\x{value & 0xff:x2}\\x{value >> 8:x2}";
        string config = $"/sys/bus/pci/devices/{_address}/config";
        _agent.Do($"printf '{bytes}' | dd of={config} bs=2 count=1 seek={offset / 2} conv=notrunc 2>&1");
    }

    public ulong Read(uint offset, int bytes = 4, int bar = 0) => _agent.Number($"read {_address} {bar} {offset} {bytes}");

    public void Write(uint offset, ulong value, int bytes = 4, int bar = 0) =>
        _agent.Do($"write {_address} {bar} {offset} {bytes} {value}");

    /// <summary>Reads until bits are clear.</summary>
    public void WaitWhile(uint offset, ulong bits) =>
        Assert.True(SpinWait.SpinUntil(() => (Read(offset) & bits) == 0, HangGuard.Timeout), $"0x{bits:x} of 0x{offset:x} stays");

    /// <summary>Asks the guest's kernel to reset it. Memory decoding and bus mastering are on again after it.</summary>
    public void Reset()
    {
        _agent.Do("reset");
        Enable();
    }

    /// <summary>Wants vectors of a kind; none switches the kind off.</summary>
    public void Arm(int kind, int vectors) => _agent.Do($"arm {kind} {vectors}");

    /// <summary>Waits for a vector, and gives how often it came.</summary>
    public ulong Wait(int vector = 0) => _agent.Number($"wait {vector} 60000");

    /// <summary>Whether a vector has come that nobody waited for.</summary>
    public bool HasCome(int vector)
    {
        (int status, _) = _agent.Ask($"wait {vector} 0");
        Assert.True(status is 0 or TimedOut, $"wait gave {status}");
        return status == 0;
    }

    /// <summary>Lets the pin interrupt again.</summary>
    public void Unmask() => _agent.Do("unmask");

    /// <summary>A fresh page of the guest's memory, and where the device finds it.</summary>
    public ulong MapPage() => _agent.Number("page");

    /// <summary>Writes to that page.</summary>
    public void Put(int offset, byte[] bytes) => _agent.Do($"put {offset} {Convert.ToHexString(bytes)}");

    /// <summary>Reads from that page.</summary>
    public byte[] Get(int offset, int count) => Convert.FromHexString(_agent.Do($"get {offset} {count}"));

    public void Dispose() => _agent.Do("close");
}
