using Vfio.Guard;
using Vfio.Guard.Config;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>An emulated function acts as hardware does: numbers from PCI Local Bus 3.0 and its ECNs.</summary>
public sealed class EmulatedFunctionTests
{
    private readonly RecordingSlot _slot = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Each_user_has_memory_of_their_own_that_the_last_ones_mapping_does_not_reach(bool keepsContents)
    {
        using GuardedFunction guard = new(new PlainFunction(
            new FunctionDescription("x", 1, 2) { HasFlr = true }, (0, new MemoryBar("x", 0x2000) { KeepsContents = keepsContents }, BarType.Memory32)));
        using SharedMemory kept = Map(guard);
        kept.Write32(0x1010, 0x5ec2e7);
        using IVfioDevice next = guard.Open();
        using SharedMemory its = Map(next);
        Assert.Equal(keepsContents ? 0x5ec2e7u : 0, its.Read32(0x1010));
        kept.Write32(0x1010, 0xbad);
        Assert.NotEqual(0xbadu, its.Read32(0x1010));
        its.Write32(0x20, 7);
        byte[] bytes = new byte[4];
        next.ReadRegion(RegionIndex.Bar(0), 0x20, bytes);
        Assert.Equal([7, 0, 0, 0], bytes);
    }

    private static SharedMemory Map(GuardedFunction guard)
    {
        using IVfioDevice device = guard.Open();
        return Map(device);
    }

    private static SharedMemory Map(IVfioDevice device)
    {
        RegionInfo bar = device.GetRegion(RegionIndex.Bar(0));
        return SharedMemory.Map(bar.File!, bar.FileOffset, bar.Length, writable: true);
    }

    // Whether MSI-X, MSI or the pin is in use now.
    [Theory]
    [InlineData(false, 2, 2)]
    [InlineData(true, 8, 8)]
    public void A_vector_that_the_device_does_not_have_is_an_error_when_it_is_raised(bool hasMsix, int vectors, int wrong)
    {
        FunctionDescription description = new("x", 1, 2)
        {
            InterruptPin = 1, MsiVectors = 2, Msix = hasMsix ? new MsixDescription(vectors, Bar: 2, TableOffset: 0, PendingOffset: 0x800) : null,
        };
        using PlainFunction function = new(description);
        function.Connect(_slot);
        Assert.Throws<ArgumentOutOfRangeException>(() => function.InterruptFor(wrong));
        function.InterruptFor(wrong - 1);
        Assert.Equal(["pin up"], _slot.Seen);
    }

    [Fact]
    public void The_device_of_the_readme_sums_and_interrupts()
    {
        using SummerFunction summer = new();
        summer.Connect(_slot);
        _slot.Memory.AsSpan(0x100, 4).Fill(10);
        summer.WriteRegion(RegionIndex.Bar0, 8, [0x00, 0x01, 0, 0, 0, 0, 0, 0]);
        summer.WriteRegion(RegionIndex.Bar0, 0x10, [4, 0, 0, 0]);
        byte[] sum = new byte[8];
        summer.ReadRegion(RegionIndex.Bar0, 0x14, sum);
        Assert.Equal([40, 0, 0, 0, 1, 0, 0, 0], sum);
        Assert.Equal(["pin up"], _slot.Seen);
        summer.WriteRegion(RegionIndex.Bar0, 0x18, [1, 0, 0, 0]);
        Assert.Equal(["pin up", "pin down"], _slot.Seen);
    }

    [Fact]
    public void Header_shows_the_description()
    {
        using PlainFunction function = new(new FunctionDescription("x", 0x8086, 0x10ca)
        {
            ClassCode = 0x020000,
            RevisionId = 3,
            SubsystemVendorId = 0x1111,
            SubsystemId = 0x2222,
            InterruptPin = 2,
        });
        function.Connect(_slot);
        Assert.Equal(0x10ca8086u, function.ReadConfig(0, 4));
        Assert.Equal(0x02000003u, function.ReadConfig(8, 4));
        Assert.Equal(0x22221111u, function.ReadConfig(0x2c, 4));
        Assert.Equal(2u, function.ReadConfig(0x3d, 1));
        Assert.Equal(0u, function.ReadConfig(6, 2) & 0x10);
        Assert.Equal(256, function.ConfigLength);
    }

    [Theory]
    [InlineData(BarType.Memory32, 0x1000, 0xfffff000u, 0u)]
    [InlineData(BarType.Memory32, 16, 0xfffffff0u, 0u)]
    [InlineData(BarType.Io, 0x20, 0xffffffe1u, 0u)]
    [InlineData(BarType.Memory64, 0x100000, 0xfff00004u, 0xffffffffu)]
    [InlineData(BarType.PrefetchableMemory64, 0x4000, 0xffffc00cu, 0xffffffffu)]
    public void A_bar_of_all_ones_reads_its_size(BarType type, int length, uint low, uint high)
    {
        using PlainFunction function = new(new FunctionDescription("x", 1, 2), (2, new MemoryBar("x", (ulong)length), type));
        function.Connect(_slot);
        Assert.NotEqual(0u, function.ReadConfig(0x18, 4) & ~0xfu | function.ReadConfig(0x1c, 4));
        function.WriteConfig(0x18, 4, uint.MaxValue);
        function.WriteConfig(0x1c, 4, uint.MaxValue);
        Assert.Equal(low, function.ReadConfig(0x18, 4));
        Assert.Equal(high, function.ReadConfig(0x1c, 4));
        Assert.Equal((ulong)length, function.GetLength(RegionIndex.Bar(2)));
    }

    [Fact]
    public void Reset_loses_what_firmware_assigned()
    {
        using PlainFunction function = new(new FunctionDescription("x", 1, 2), (0, new MemoryBar("x", 0x1000), BarType.Memory32));
        function.Connect(_slot);
        Assert.Equal(3u, function.ReadConfig(4, 2));
        Assert.NotEqual(0u, function.ReadConfig(0x10, 4));
        Assert.Equal(Errno.None, function.Reset(ResetMethod.DeviceSpecific));
        Assert.Equal(0u, function.ReadConfig(4, 2));
        Assert.Equal(0u, function.ReadConfig(0x10, 4));
        Assert.Equal(1, function.Resets);
    }

    [Fact]
    public void Flr_af_and_d3hot_reset_through_their_registers()
    {
        using PlainFunction express = new(new FunctionDescription("x", 1, 2) { IsExpress = true, HasFlr = true });
        express.Connect(_slot);
        Assert.Equal(0x10u, express.ReadConfig(0x40, 1));
        Assert.Equal(0x10000000u, express.ReadConfig(0x44, 4) & 0x10000000);
        express.WriteConfig(0x48, 2, 0x8000);
        Assert.Equal(1, express.Resets);
        Assert.Equal([ResetMethod.DeviceSpecific, ResetMethod.Flr], express.ResetMethods);

        using PlainFunction conventional = new(new FunctionDescription("x", 1, 2)
        {
            HasFlr = true,
            PowerManagement = PowerManagementKind.SoftReset,
            HasOwnReset = false,
        });
        conventional.Connect(_slot);
        Assert.Equal(0x13u, conventional.ReadConfig(0x48, 1));
        conventional.WriteConfig(0x4c, 1, 1);
        Assert.Equal(1, conventional.Resets);
        conventional.WriteConfig(0x44, 2, 3);
        Assert.Equal(3u, conventional.ReadConfig(0x44, 2));
        conventional.WriteConfig(0x44, 2, 0);
        Assert.Equal(2, conventional.Resets);
        Assert.Equal([ResetMethod.AfFlr, ResetMethod.PowerManagement], conventional.ResetMethods);
    }

    [Fact]
    public void Interrupt_goes_by_what_is_enabled()
    {
        using PlainFunction function = new(new FunctionDescription("x", 1, 2)
        {
            InterruptPin = 1,
            MsiVectors = 4,
            Msix = new MsixDescription(8, Bar: 1),
        });
        function.Connect(_slot);
        function.Interrupt(3);
        Assert.Equal(["pin up"], _slot.Seen);
        Assert.Equal(8u, function.ReadConfig(6, 2) & 8);
        function.WriteConfig(4, 2, 0x0403);
        function.WriteConfig(4, 2, 0x0003);
        Assert.Equal(["pin up", "pin down", "pin up"], _slot.Seen);
        _slot.Seen.Clear();

        // MSI at 0x40: enable, 2 of its 4 messages granted; vector 3 is then sent as 1.
        function.WriteConfig(0x42, 2, 0x0011);
        function.Interrupt(3);
        Assert.Equal(["pin down", "MSI 1"], _slot.Seen);
        _slot.Seen.Clear();

        // MSI-X behind it; every vector is masked after reset and stays pending.
        function.WriteConfig(0x42, 2, 0);
        function.EndInterrupt();
        function.WriteConfig(0x52, 2, 0x8000);
        function.Interrupt(5);
        byte[] pending = new byte[8];
        function.ReadRegion(RegionIndex.Bar(1), 0x8000, pending);
        Assert.Equal(0x20, pending[0]);
        function.WriteRegion(RegionIndex.Bar(1), 16 * 5 + 12, [0, 0, 0, 0]);
        function.ReadRegion(RegionIndex.Bar(1), 0x8000, pending);
        Assert.Equal(0, pending[0]);
        Assert.Equal("MSI-X 5", _slot.Seen[^1]);
    }

    [Fact]
    public void Masked_msi_is_pending_until_unmasked()
    {
        using PlainFunction function = new(new FunctionDescription("x", 1, 2) { MsiVectors = 2, MsiHasMasks = true });
        function.Connect(_slot);
        function.WriteConfig(0x50, 4, 2);
        function.WriteConfig(0x42, 2, 0x0011);
        function.Interrupt(1);
        Assert.Equal(2u, function.ReadConfig(0x54, 4));
        Assert.Empty(_slot.Seen);
        function.WriteConfig(0x50, 4, 0);
        Assert.Equal(["MSI 1"], _slot.Seen);
        Assert.Equal(0u, function.ReadConfig(0x54, 4));
    }

    [Fact]
    public void A_virtual_function_has_no_ids_and_no_memory_enable()
    {
        using PlainFunction function = new(new FunctionDescription("vf", 1, 2) { VirtualIds = new VirtualFunctionIds(0x8086, 0x10ca) });
        function.Connect(_slot);
        Assert.Equal(uint.MaxValue, function.ReadConfig(0, 4));
        function.WriteConfig(4, 2, 0xffff);
        Assert.Equal(0x0544u, function.ReadConfig(4, 2));
    }

    [Fact]
    public void Extended_capabilities_are_linked()
    {
        using PlainFunction function = new(new FunctionDescription("x", 1, 2)
        {
            IsExpress = true,
            Capabilities =
            [
                new CapabilityDescription(0x03, new byte[8]) { IsExtended = true },
                new CapabilityDescription(0x0b, new byte[] { 1, 0, 8, 0 }) { IsExtended = true, Version = 2 },
            ],
        });
        Assert.Equal(0x10c10003u, function.ReadConfig(0x100, 4));
        Assert.Equal(0x0002000bu, function.ReadConfig(0x10c, 4));
        Assert.Equal(4096, function.ConfigLength);
    }
}
