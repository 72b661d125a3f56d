using Vfio.Guard;
using Vfio.Guard.Config;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>After a reset of any kind the user sees what is: bus mastering, interrupts, decoding.</summary>
public sealed class ResetTests : IDisposable
{
    // Power Management, MSI, MSI-X, PCI Express from 0x40 on.
    private const int Power = 0x44, Msi = 0x48, Msix = 0x60, Express = 0x6c;
    private const ulong Table = 0x1000, Pending = 0x2000;

    private static readonly FunctionDescription Description = new("x", 1, 2)
    {
        InterruptPin = 1,
        PowerManagement = PowerManagementKind.SoftReset,
        MsiVectors = 4,
        MsiHasMasks = true,
        Msix = new MsixDescription(8, Bar: 2, (uint)Table, (uint)Pending),
        IsExpress = true,
        HasFlr = true,
    };

    private readonly Lease _lease = new(Description, (2, new MemoryBar("msix", 0x4000), BarType.Memory32));
    private readonly EventFd _event = EventFd.Create();

    public void Dispose()
    {
        _lease.Dispose();
        _event.Dispose();
    }

    public static TheoryData<string, uint> Resets => new MatrixTheoryData<string, uint>(
        ["FLR", "D3hot", "RESET", "its own", "its own, seen late"], [0, 1, 2]);

    [Theory]
    [MemberData(nameof(Resets))]
    public void Bus_mastering_is_off_and_shown_off_and_what_is_bound_works_again(string reset, uint kind)
    {
        InterruptIndex index = new(kind);
        _lease.MapDma(0x10000, 0x1000);
        _lease.Bind(index, 0, _event);
        _lease.Write(4, 2, 6);
        _lease.Device.SetInterrupts(InterruptRequest.ForAll(index, InterruptAction.Mask, 0, 1));
        _lease.Function.Interrupt(0);
        Do(reset);

        Assert.Equal(Errno.OperationNotPermitted, _lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
        if (reset != "its own, seen late")
            Assert.Equal(0u, _lease.Read(4, 2) & 4);
        _lease.Write(4, 2, 6);
        AssertShownAsIs();
        Assert.Equal(0u, _lease.Read(Msi + 0x10, 4));
        Assert.Equal(0u, _lease.Read(Msi + 0x14, 4));
        Assert.Equal(0u, _lease.ReadBar(2, Pending));
        Assert.Equal(0ul, _event.Drain());
        Assert.Equal(Errno.None, _lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
        _lease.Function.Interrupt(0);
        Assert.Equal(1ul, _event.Drain());
        Assert.Equal(kind == 0 ? 8u : 0, _lease.Read(6, 2) & 8);
    }

    [Fact]
    public void A_reset_of_its_own_during_a_register_write_is_known_at_once()
    {
        ResettingFunction function = new();
        using GuardedFunction guarded = new(function);
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Assert.Equal(Errno.BadAddress, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        uint bar = function.ReadConfig(0x10, 4);
        device.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0]);
        Assert.Equal(Errno.OperationNotPermitted, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        byte[] command = new byte[2];
        device.ReadRegion(RegionIndex.Config, 4, command);
        Assert.Equal(0, command[0] & 4);
        Assert.Equal((bar, 2u), (function.ReadConfig(0x10, 4), function.ReadConfig(4, 2) & 7));
        device.ReadRegion(RegionIndex.Bar0, 0, new byte[4]);
    }

    [Fact]
    public void A_reset_that_a_function_does_not_report_is_detected_when_its_Command_register_is_read()
    {
        byte[] config = new byte[256];
        new byte[] { 0x34, 0x12, 0x78, 0x56 }.CopyTo(config, 0);
        SlottedFunction function = new(new RamFunction(config, [0x1000, 0, 0, 0, 0, 0, 0], new byte[256]));
        using GuardedFunction guarded = new(function);
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Assert.Equal(Errno.BadAddress, function.Slot!.ReadMemory(new Iova(0), new byte[1]));
        function.Hardware.Poke(4, 0);
        byte[] command = new byte[2];
        device.ReadRegion(RegionIndex.Config, 4, command);
        Assert.Equal(0, command[0] & 4);
        Assert.Equal(Errno.OperationNotPermitted, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        device.ReadRegion(RegionIndex.Config, 0, command);
        Assert.Equal(2, function.Hardware.Config[4] & 7);
    }

    private void Do(string reset)
    {
        int before = _lease.Function.Resets;
        switch (reset)
        {
            case "FLR":
                _lease.Write(Express + 8, 2, 0x8000);
                break;
            case "D3hot":
                _lease.Write(Power, 2, 3);
                _lease.Write(Power, 2, 0);
                break;
            case "RESET":
                _lease.Device.Reset();
                break;
            default:
                _lease.Function.Reset(ResetMethod.DeviceSpecific);
                break;
        }

        Assert.Equal(before + 1, _lease.Function.Resets);
    }

    private void AssertShownAsIs()
    {
        Assert.Equal(_lease.Function.ReadConfig(4, 2) & 4, _lease.Read(4, 2) & 4);
        Assert.Equal(_lease.Function.ReadConfig(Msi + 2, 2) & 0x71, _lease.Read(Msi + 2, 2) & 0x71);
        Assert.Equal(_lease.Function.ReadConfig(Msix + 2, 2) & 0xc000, _lease.Read(Msix + 2, 2) & 0xc000);
    }

    /// <summary>Resets itself when its register is written.</summary>
    private sealed class ResettingFunction : PlainFunction
    {
        private static readonly RegisterMap<Register> Map = new(length: 0x1000) { { 0, 4, Register.Reset, 0, uint.MaxValue } };
        private readonly RegisterFile<Register> _registers = new(Map);

        internal ResettingFunction()
            : base(ResetTests.Description with { Msix = null })
        {
            _registers.OnWrite(Register.Reset, _ => Reset(ResetMethod.DeviceSpecific));
            AddBar(0, _registers);
        }

        private enum Register { Reset }
    }

    /// <summary>Gives its slot away.</summary>
    private sealed class SlottedFunction(RamFunction hardware) : IPciFunction
    {
        public RamFunction Hardware => hardware;

        public IPciSlot? Slot { get; private set; }

        public string Name => hardware.Name;

        public int ConfigLength => hardware.ConfigLength;

        public IReadOnlyList<ResetMethod> ResetMethods => hardware.ResetMethods;

        public VirtualFunctionIds? VirtualIds => null;

        public void Connect(IPciSlot slot) => Slot = slot;

        public uint ReadConfig(int offset, int width) => hardware.ReadConfig(offset, width);

        public void WriteConfig(int offset, int width, uint value) => hardware.WriteConfig(offset, width, value);

        public ulong GetLength(RegionIndex region) => hardware.GetLength(region);

        public SharedMemory? GetMemory(RegionIndex region) => null;

        public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => destination.Clear();

        public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
        {
        }

        public Errno Reset(ResetMethod method) => hardware.Reset(method);

        public void Dispose() => hardware.Dispose();
    }
}
