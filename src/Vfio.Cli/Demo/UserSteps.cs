using Vfio.Drivers.Edu;

namespace Vfio.Cli.Demo;

/// <summary>The steps of the unprivileged program with the device.</summary>
internal sealed class UserSteps : IDisposable
{
    /// <summary>Where the user would like its interrupts to go: the local APIC of processor 1.</summary>
    internal const uint MsiAddress = 0xfee0_1000;

    private const int VendorIdOffset = 0x00, Bar0Offset = 0x10;
    private const ushort MsiCapability = 0x05;
    private const uint EveryBit = 0xffff_ffff;
    private const int PageBytes = 4096, CopyBytes = 1 << 20;
    private readonly string _address;
    private EduDriver? _driver;

    internal UserSteps(string address)
    {
        _address = address;
        Steps = new Dictionary<string, Func<StepResult>>
        {
            ["who"] = Who,
            ["open"] = Open,
            ["ids"] = WriteIds,
            ["msi"] = WriteMsi,
            ["bar"] = WriteBar,
            ["dma"] = ReadOutsideTheMap,
            ["reset"] = Reset,
            ["size"] = SizeBar,
            ["live"] = CheckLiveness,
            ["factorial"] = Factorial,
            ["page"] = () => Copy(PageBytes, "a page"),
            ["copy"] = () => Copy(CopyBytes, "1 MiB"),
            ["close"] = Close,
        };
    }

    /// <summary>The steps by name.</summary>
    internal IReadOnlyDictionary<string, Func<StepResult>> Steps { get; }

    private EduDriver Driver => _driver ?? throw new InvalidOperationException("the device is not open");

    private PciConfig Config => Driver.Device.Config;

    /// <inheritdoc/>
    public void Dispose() => _driver?.Dispose();

    private static StepResult Who() =>
        new("who drives it?", $"user {Environment.UserName}, process {Environment.ProcessId}", true);

    private StepResult Open()
    {
        _driver = new EduDriver(VfioDevice.Open(_address));
        IVfioDevice device = Driver.Device.Device;
        ulong bar0 = device.GetRegion(RegionIndex.Bar(0)).Length;
        int msi = device.GetInterrupt(InterruptIndex.Msi).Count;
        return new StepResult(
            $"open {_address}",
            $"{Driver.Device.VendorId:x4}:{Driver.Device.DeviceId:x4}, BAR0 of {bar0 >> 10} KiB, {msi} MSI vector, reset {(device.Info.CanReset ? "possible" : "impossible")}",
            bar0 == 1 << 20 && msi == 1 && device.Info.CanReset);
    }

    private StepResult WriteIds()
    {
        Config.Write32(VendorIdOffset, EveryBit);
        uint ids = Config.Read32(VendorIdOffset);
        return new StepResult("write 0xffffffff over vendor and device id", $"they still read 0x{ids:x8}", ids == 0x11e8_1234);
    }

    private StepResult WriteMsi()
    {
        int msi = Config.FindCapability(MsiCapability)!.Offset;
        Config.Write32(msi + 4, MsiAddress);
        uint shown = Config.Read32(msi + 4);
        return new StepResult("write an interrupt address of its own, 0xfee01000, into MSI", $"reads back 0x{shown:x8}, from a shadow", shown == MsiAddress);
    }

    private StepResult WriteBar()
    {
        Config.Write32(Bar0Offset, 0x1230_0000);
        uint shown = Config.Read32(Bar0Offset);
        return new StepResult("move BAR0 to 0x12300000", $"reads back 0x{shown:x8}, from a shadow", (shown & ~0xfu) == 0x1230_0000);
    }

    private StepResult ReadOutsideTheMap()
    {
        Span<byte> bytes = stackalloc byte[16];
        bool reached = Driver.TryReadMemory(new Iova(0x0dea_d000), bytes);
        return new StepResult("have the device read memory at 0x0dead000, which was never mapped", reached ? "it could" : "nothing arrived", !reached);
    }

    private StepResult Reset()
    {
        Driver.Reset();
        uint bar = Config.Read32(Bar0Offset);
        return new StepResult("reset the device", $"BAR0 reads 0x{bar:x8}: the value written before is gone", (bar & ~0xfu) != 0x1230_0000);
    }

    private StepResult SizeBar()
    {
        uint before = Config.Read32(Bar0Offset);
        Config.Write32(Bar0Offset, EveryBit);
        uint mask = Config.Read32(Bar0Offset);
        Config.Write32(Bar0Offset, before);
        ulong size = ~(mask & ~0xfUL) + 1 & 0xffff_ffff;
        return new StepResult("size BAR0 by writing all ones", $"reads 0x{mask:x8}: {size >> 10} KiB", size == 1 << 20);
    }

    private StepResult CheckLiveness()
    {
        const uint Probe = 0x1234_5678;
        uint before = Driver.Identify().Raw;
        bool alive = Driver.CheckLiveness(Probe);
        return new StepResult(
            $"identify, and write 0x{Probe:x8} to the liveness register",
            $"0x{before:x8}, and {(alive ? $"the complement, 0x{~Probe:x8}" : "something else")}",
            alive && before == 0x0100_00ed);
    }

    private StepResult Factorial()
    {
        uint result = Driver.Factorial(10);
        return new StepResult("compute 10! and interrupt when done", $"{Driver.InterruptKind} arrived, the result is {result}", result == 3_628_800);
    }

    private StepResult Copy(int count, string amount)
    {
        using DmaBuffer source = Driver.Device.AllocateDma(count, DmaAccess.Read);
        using DmaBuffer destination = Driver.Device.AllocateDma(count, DmaAccess.Write);
        byte[] sent = new byte[count], received = new byte[count];
        new Random(2010).NextBytes(sent);
        source.Write(0, sent);
        Driver.Copy(source, destination);
        destination.Read(0, received);
        bool equal = sent.AsSpan().SequenceEqual(received);
        return new StepResult(
            $"send {amount} at {source.Start} through the DMA engine and back to {destination.Start}",
            equal ? $"the same {count:N0} bytes" : "other bytes",
            equal);
    }

    private StepResult Close()
    {
        Driver.Dispose();
        _driver = null;
        return new StepResult("close", "done", true);
    }
}
