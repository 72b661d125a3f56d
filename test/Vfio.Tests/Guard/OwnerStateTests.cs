using Vfio.Guard;
using Vfio.Pci;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>What the owner had set is there for every user, and nothing that one user wrote is there for the next.</summary>
public sealed class OwnerStateTests
{
    // PCI Express Base 6.0: ACS 7.7.11, ARI 7.8.8, LTR 7.8.2, Resizable BAR 7.8.6, PASID 7.8.9, PRI 10.5.2, ATS 10.5.1, TPH 7.9.13.
    private static readonly (ushort Id, byte[] Body, byte[] Writable, byte[] Owned)[] Extended =
    [
        (0x0d, [0x5f, 0, 0, 0], [0, 0, 0x5f, 0], [0, 0, 0x1d, 0]),
        (0x0e, [0x03, 0x01, 0, 0], [0, 0, 0x73, 0], [0, 0, 0x12, 0]),
        (0x18, [0, 0, 0, 0], [0xff, 0x1f, 0xff, 0x1f], [0x0f, 0x10, 0x0f, 0x10]),
        (0x15, [0xf0, 0xff, 0, 0, 0x20, 0, 0, 0], [0, 0, 0, 0, 0, 0x3f, 0, 0], [0, 0, 0, 0, 0, 0x05, 0, 0]),
        (0x1b, [0x06, 0x14, 0, 0], [0, 0, 0x07, 0], [0, 0, 0x03, 0]),
        (0x13,
            [0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0],
            [0x01, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0],
            [0x01, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0]),
        (0x0f, [0x20, 0, 0, 0], [0, 0, 0x1f, 0x80], [0, 0, 0x01, 0x80]),
        (0x17, [0x07, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0x07, 0x03, 0, 0], [0, 0, 0, 0, 0x01, 0x01, 0, 0]),
    ];

    // Vendor-specific, revision 1, 16 bytes long.
    private static readonly byte[] Vendor = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

    private static readonly FunctionDescription Description = new("x", 1, 2)
    {
        IsExpress = true,
        HasFlr = true,
        PowerManagement = PowerManagementKind.SoftReset,
        Capabilities =
        [
            .. Extended.Select(item => new CapabilityDescription(item.Id, item.Body) { IsExtended = true, Writable = item.Writable }),
        ],
    };

    [Theory]
    [InlineData("open")]
    [InlineData("FLR")]
    [InlineData("D3hot")]
    [InlineData("RESET")]
    [InlineData("its own")]
    [InlineData("close")]
    public void What_isolates_a_function_and_what_its_user_may_not_write_comes_back_after_every_reset(string reset)
    {
        PlainFunction function = new(Description, (0, new MemoryBar("m", 0x1000), BarType.Memory32));
        CapabilityList list = CapabilityList.Read(Space(function));
        Dictionary<int, byte> owned = [];
        foreach ((ushort id, _, _, byte[] values) in Extended)
        {
            int at = list.Find(id, isExtended: true)!.Offset + 4;
            for (int i = 0; i < values.Length; i++)
            {
                function.WriteConfig(at + i, 1, function.ReadConfig(at + i, 1) | values[i]);
                owned[at + i] = (byte)function.ReadConfig(at + i, 1);
                Assert.Equal(values[i], values[i] & owned[at + i]);
            }
        }

        // Link Control: ASPM and common clock (7.5.3.7); Link Control 2: target speed.
        int express = list.Find(0x10, isExtended: false)!.Offset;
        function.WriteConfig(express + 0x10, 2, 0x0042);
        function.WriteConfig(express + 0x30, 2, 0x0003);
        owned[express + 0x10] = 0x42;
        owned[express + 0x30] = 0x03;

        using GuardedFunction guarded = new(function);
        using IVfioDevice device = guarded.Open();
        int power = list.Find(0x01, isExtended: false)!.Offset + 4;
        switch (reset)
        {
            case "FLR":
                device.WriteRegion(RegionIndex.Config, (ulong)express + 9, [0x80]);
                break;
            case "D3hot":
                device.WriteRegion(RegionIndex.Config, (ulong)power, [3]);
                device.WriteRegion(RegionIndex.Config, (ulong)power, [0]);
                break;
            case "RESET":
                device.Reset();
                break;
            case "its own":
                function.Reset(ResetMethod.DeviceSpecific);
                device.ReadRegion(RegionIndex.Config, 0, new byte[4]);
                break;
            case "close":
                device.Dispose();
                break;
        }

        Assert.All(owned, register => Assert.Equal(
            (register.Key, register.Value), (register.Key, (byte)function.ReadConfig(register.Key, 1))));
    }

    [Fact]
    public void What_depends_on_another_register_is_written_after_it()
    {
        PlainFunction function = new(Description);
        CapabilityList list = CapabilityList.Read(Space(function));
        foreach ((ushort id, _, _, byte[] values) in Extended)
        {
            for (int i = 0; i < values.Length; i++)
                function.WriteConfig(list.Find(id, isExtended: true)!.Offset + 4 + i, 1, values[i]);
        }

        FaultyFunction watched = new(function);
        using GuardedFunction guarded = new(watched);
        watched.ConfigWrites.Clear();
        guarded.Open().Dispose();
        int PlaceOf(ushort id, int register) =>
            watched.ConfigWrites.FindIndex(write => write.Offset == list.Find(id, isExtended: true)!.Offset + register);

        // 10.5.1.3: PASID does not change while ATS is on; 10.5.2.2: outstanding requests are allocated before PRI is on.
        Assert.InRange(PlaceOf(0x1b, 4), 0, PlaceOf(0x0f, 4));
        Assert.InRange(PlaceOf(0x13, 12), 0, PlaceOf(0x13, 4));
    }

    [Fact]
    public void Vendor_specific_registers_are_the_users_and_the_devices_alone()
    {
        FunctionDescription description = Description with
        {
            Capabilities =
            [
                new CapabilityDescription(0x09, new byte[] { 8, 0, 0, 0, 0, 0 }) { Writable = Ones(1, 5) },
                new CapabilityDescription(0x0b, Vendor) { IsExtended = true, Writable = Ones(4, 8) },
                new CapabilityDescription(0x23, Vendor) { IsExtended = true, Writable = Ones(4, 8) },
            ],
        };
        PlainFunction function = new(description);
        FaultyFunction watched = new(function);
        int[] starts =
        [
            .. CapabilityList.Read(Space(function)).Items.Where(item => item.Id is 0x09 or 0x0b or 0x23).Select(item => item.Offset),
        ];
        Assert.Equal(3, starts.Length);
        foreach (int start in starts)
            function.WriteConfig(start + 4, 4, 0x1234_5678);
        using GuardedFunction guarded = new(watched);
        using IVfioDevice device = guarded.Open();
        device.Reset();
        device.Dispose();
        Assert.DoesNotContain(watched.ConfigWrites, write => starts.Any(start => write.Offset >= start && write.Offset < start + 16));

        static byte[] Ones(int from, int count) => [.. new byte[from], .. Enumerable.Repeat((byte)0xff, count)];
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_user_wrote_to_permitted_registers_is_gone_for_the_next(bool isReset)
    {
        // Registers that no table has and no reset clears.
        RamFunction hardware = Ram(isReset ? [ResetMethod.Flr] : []);
        hardware.Poke(0x80, 0x11);
        hardware.Poke(0x81, 0x22);
        hardware.Poke(0x84, 0x33);
        using GuardedFunction guarded = new(hardware, policy: new GuardPolicy { AllowWithoutReset = true });
        guarded.Permit(0x80, uint.MaxValue, uint.MaxValue);
        using (IVfioDevice device = guarded.Open())
        {
            guarded.Permit(0x84, 0xffff, 0xffff);
            device.WriteRegion(RegionIndex.Config, 0x80, [1, 2, 3, 4, 5, 6, 7, 8]);
            Assert.Equal([1, 2, 3, 4, 5, 6, 0, 0], hardware.Config.Slice(0x80, 8).ToArray());
        }

        Assert.Equal([0x11, 0x22, 0, 0, 0x33, 0, 0, 0], hardware.Config.Slice(0x80, 8).ToArray());
        using IVfioDevice next = guarded.Open();
        byte[] seen = new byte[8];
        next.ReadRegion(RegionIndex.Config, 0x80, seen);
        Assert.Equal([0x11, 0x22, 0, 0, 0x33, 0, 0, 0], seen);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void A_register_that_may_not_be_read_is_not_read_for_its_user(int width)
    {
        RamFunction hardware = Ram([ResetMethod.Flr]);
        using GuardedFunction guarded = new(hardware);
        guarded.Permit(0x80, 0, 0);
        guarded.Permit(0x84, uint.MaxValue, uint.MaxValue);
        guarded.Permit(0x88, 0xffff_0000, 0xff00_0000);
        hardware.Log.Clear();
        using (IVfioDevice device = guarded.Open())
        {
            for (ulong at = 0x80; at < 0x8c; at += (ulong)width)
            {
                device.ReadRegion(RegionIndex.Config, at, new byte[width]);
                device.WriteRegion(RegionIndex.Config, at, new byte[] { 1, 2, 3, 4 }.AsSpan(0, width));
            }

            device.WriteRegion(RegionIndex.Config, 0x7e, new byte[16]);
        }

        Assert.DoesNotContain(hardware.Log, access => Touches(access, 0x80, 4));
        Assert.DoesNotContain(hardware.Log, access => Touches(access, 0x88, 2));
        Assert.DoesNotContain(hardware.Log, access => access.IsWrite && Touches(access, 0x88, 3));
        Assert.Contains(hardware.Log, access => access.IsWrite && Touches(access, 0x84, 4));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Hiding_status_bits_clears_none_of_them(int width)
    {
        // Command, and Status with its bits that a 1 clears (PCI Local Bus 3.0, section 6.2.3).
        RamFunction hardware = Ram([ResetMethod.Flr], status: new() { [7] = 0xf9 });
        hardware.Poke(7, 0xf9);
        using GuardedFunction guarded = new(hardware);
        using IVfioDevice device = guarded.Open();
        guarded.Permit(4, 0x0010_ffff, 0x0000_0140);
        for (ulong at = 4; at < 8; at += (ulong)width)
            device.WriteRegion(RegionIndex.Config, at, new byte[] { 0x47, 0x05, 0, 0 }.AsSpan((int)at - 4, width));
        Assert.Equal(0xf9, hardware.Config[7]);
        Assert.Equal(0x0140, (hardware.Config[4] | hardware.Config[5] << 8) & 0x0140);
        for (ulong at = 4; at < 8; at += (ulong)width)
            device.WriteRegion(RegionIndex.Config, at, new byte[] { 0xff, 0xff, 0xff, 0xff }.AsSpan(0, width));
        Assert.Equal(0xf9, hardware.Config[7]);
    }

    [Fact]
    public void A_write_leaves_alone_what_no_table_says_anything_of()
    {
        // 0x82 and 0x83 are cleared by a 1, which no table says.
        RamFunction hardware = Ram([ResetMethod.Flr], status: new() { [0x82] = 0xff, [0x83] = 0xff });
        hardware.Poke(0x82, 0xaa);
        hardware.Poke(0x83, 0x55);
        using GuardedFunction guarded = new(hardware);
        guarded.Permit(0x80, uint.MaxValue, 0x0000_ffff);
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 0x80, [1, 2, 0xff, 0xff]);
        Assert.Equal([1, 2, 0xaa, 0x55], hardware.Config.Slice(0x80, 4).ToArray());
        device.Dispose();
        Assert.Equal([0, 0, 0xaa, 0x55], hardware.Config.Slice(0x80, 4).ToArray());
    }

    private static bool Touches((bool IsWrite, int Offset, int Width, uint Value) access, int offset, int length) =>
        access.Offset < offset + length && offset < access.Offset + access.Width;

    private static RamFunction Ram(IReadOnlyList<ResetMethod> resets, Dictionary<int, byte>? status = null)
    {
        byte[] config = new byte[256];
        new byte[] { 0x34, 0x12, 0x78, 0x56 }.CopyTo(config, 0);
        byte[] clearable = new byte[256];
        foreach ((int offset, byte bits) in status ?? [])
            clearable[offset] = bits;
        return new RamFunction(config, new ulong[7], clearable) { ResetMethods = resets };
    }

    private static ConfigSpace Space(IPciFunction function) =>
        new([.. Enumerable.Range(0, function.ConfigLength).Select(offset => (byte)function.ReadConfig(offset, 1))]);
}
