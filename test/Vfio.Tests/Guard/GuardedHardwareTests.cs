using Vfio.Abstractions;
using Vfio.Devices;
using Vfio.Guard;
using Vfio.Guard.Hardware;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Pci;

namespace Vfio.Tests.Guard;

/// <summary>The guard before an assigned device: what arrives there.</summary>
public sealed class GuardedHardwareTests
{
    private const int Writes = 400;

    public static TheoryData<string> Shapes => ["ohci", "tg3", "ahci", .. Enumerable.Range(0, 40).Select(seed => $"{seed}")];

    /// <remarks>What is whose comes from <see cref="ConfigFacts"/>, which the library's tables do not know. A bit of which the kernel keeps
    /// a copy may arrive there.</remarks>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void No_sequence_of_accesses_changes_a_bit_that_is_not_the_users(string shape)
    {
        byte[] config = Make(shape, out ulong[] lengths);
        ConfigModel facts = new(new ConfigSpace(config), lengths);
        RecordingDevice device = new(config, facts.StatusBits, lengths);
        byte[] before = [.. config];
        using GuardedHardware guard = new(device);
        Random random = new(config.Aggregate(17, (hash, value) => unchecked((hash * 31) + value)));
        for (int step = 0; step < Writes; step++)
        {
            int length = random.Next(5) switch { 0 => 1, 1 => 2, 2 => 8, 3 => random.Next(1, 24), _ => 4 };
            int end = random.Next(3) == 0 ? config.Length : 256;
            int offset = Math.Min(config.Length - length, random.Next(end) & (random.Next(3) == 0 ? ~0 : ~3));
            byte[] bytes = new byte[length];
            if (random.Next(3) == 0)
                Array.Fill(bytes, (byte)0xff);
            else
                random.NextBytes(bytes);
            guard.WriteRegion(RegionIndex.Config, (ulong)offset, bytes);
            for (int at = 0; at < config.Length; at++)
            {
                for (int bit = 0; config[at] != before[at] && bit < 8; bit++)
                {
                    if (((config[at] ^ before[at]) >> bit & 1) == 0)
                        continue;
                    UserBit kind = facts.KindOf((8 * at) + bit);
                    bool isWritten = at >= offset && at < offset + length;
                    bool mayChange = kind is UserBit.Users or UserBit.Copy
                        || (kind == UserBit.UsersStatus && isWritten && (bytes[at - offset] >> bit & 1) != 0);
                    Assert.True(isWritten && mayChange,
                        $"step {step}: {Convert.ToHexString(bytes)} at 0x{offset:x} changed bit {bit} of 0x{at:x}, which is {kind}");
                }
            }

            config.CopyTo(before, 0);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void What_the_user_reads_is_what_is_below_but_for_copies_that_are_the_owners(string shape)
    {
        byte[] config = Make(shape, out ulong[] lengths);
        ConfigModel facts = new(new ConfigSpace(config), lengths);
        using GuardedHardware guard = new(new RecordingDevice(config, new byte[config.Length], lengths));
        byte[] read = new byte[config.Length];
        guard.ReadRegion(RegionIndex.Config, 0, read);
        string[] others = [.. Enumerable.Range(0, 8 * config.Length)
            .Where(bit => ((config[bit / 8] ^ read[bit / 8]) >> (bit & 7) & 1) != 0 && facts.KindOf(bit) != UserBit.OwnersCopy)
            .Select(bit => $"bit {bit & 7} of 0x{bit / 8:x}")];
        Assert.Empty(others);
    }

    /// <summary>PASID (id 0x1b) is between the serial number and LTR. PME_Support of Power Management reads 0.</summary>
    [Fact]
    public void Capabilities_that_cannot_work_are_out_of_the_list_and_read_0()
    {
        byte[] config = HardwareShape.Tg3();
        HardwareShape.Put(config, 0x160, 0x18010003);       // serial number, next 0x180
        HardwareShape.Put(config, 0x180, 0x1901001b);       // PASID, next 0x190
        HardwareShape.Put(config, 0x184, 0x00011406);
        HardwareShape.Put(config, 0x190, 0x00010018);       // LTR
        using GuardedHardware guard = new(new RecordingDevice(config, new byte[config.Length], HardwareShape.BarBytes));
        guard.WriteRegion(RegionIndex.Config, 0x184, [0xff, 0xff, 0xff, 0xff]);
        Assert.Equal(0x00011406u, new ConfigSpace(config).Read32(0x184));
        byte[] read = new byte[config.Length];
        guard.ReadRegion(RegionIndex.Config, 0, read);
        ConfigSpace seen = new(read);
        Assert.Equal(0x19010003u, seen.Read32(0x160));
        Assert.Equal((0u, 0u), (seen.Read32(0x180), seen.Read32(0x184)));
        Assert.Equal(0x00025001u, seen.Read32(0x48));
        Assert.Equal([0x01, 0x02, 0x03, 0x18], CapabilityList.Read(seen).Items.Where(item => item.IsExtended).Select(item => (int)item.Id));
    }

    [Fact]
    public void A_hidden_capability_that_is_the_first_stays_as_an_anchor()
    {
        byte[] config = HardwareShape.Tg3();
        HardwareShape.Put(config, 0x100, 0x1601001f);       // Precision Time Measurement, next the serial number
        using GuardedHardware guard = new(new RecordingDevice(config, new byte[config.Length], HardwareShape.BarBytes));
        byte[] read = new byte[8];
        guard.ReadRegion(RegionIndex.Config, 0x100, read);
        Assert.Equal([0, 0, 0, 0x16, 0, 0, 0, 0], read);
    }

    /// <summary>Dwords that hold the header, or the id, pointer, length or version of a capability, by each one's specification.</summary>
    [Theory]
    [InlineData("ohci", new[] { 0x44 })]
    [InlineData("tg3", new[] { 0x48, 0x50, 0x58, 0xd0, 0x100, 0x13c, 0x140, 0x144, 0x14c, 0x160 })]
    [InlineData("ahci", new[] { 0x80, 0x70, 0xa8, 0xac })]
    public void Opening_reads_no_register_between_capabilities_and_writes_nothing(string shape, int[] heads)
    {
        byte[] config = Make(shape, out ulong[] lengths);
        RecordingDevice device = new(config, new byte[config.Length], lengths);
        using GuardedHardware guard = new(device);
        Assert.DoesNotContain(device.Log, entry => entry.IsWrite);
        Assert.Empty(device.Log.Select(entry => entry.Offset & ~3).Where(at => at >= 0x40).Except(heads));
    }

    [Fact]
    public void The_rest_of_a_vendor_specific_capability_is_read_by_its_user_only()
    {
        byte[] config = HardwareShape.Ohci();
        config[0x45] = 0x60;
        HardwareShape.Put(config, 0x60, 0x00100009);
        RecordingDevice device = new(config, new byte[config.Length], HardwareShape.BarBytes);
        using GuardedHardware guard = new(device);
        Assert.DoesNotContain(device.Log, entry => entry.Offset is > 0x63 and < 0x70);
        guard.WriteRegion(RegionIndex.Config, 0x64, [1, 2, 3, 4]);
        Assert.Equal((true, 0x64, 4, 0x04030201u), device.Log[^1]);
    }

    [Fact]
    public void A_permit_opens_the_dword_of_a_1394_controller_and_its_owners_value_comes_back()
    {
        byte[] config = HardwareShape.Ohci();
        HardwareShape.Put(config, 0x40, 0x80000000);
        RecordingDevice device = new(config, new byte[config.Length], HardwareShape.BarBytes) { KeepsConfigOverReset = true };
        OwnerValue[] restored = [];
        GuardedHardware guard = new(device, restore: values => restored = [.. values]);
        guard.WriteRegion(RegionIndex.Config, 0x40, [1, 0, 0, 0]);
        Assert.Equal(0x80000000, new ConfigSpace(config).Read32(0x40));
        Assert.Equal(2, guard.Refusals.ConfigBits);

        // 1394 Open HCI 1.1, annex A.3: PCI Global Swap.
        guard.Permit(new ConfigPermit(0x40, 0xffffffff, 0x00000001));
        guard.WriteRegion(RegionIndex.Config, 0x40, [0xff, 0xff, 0xff, 0xff]);
        Assert.Equal(0x80000001, new ConfigSpace(config).Read32(0x40));
        Assert.Equal((true, 0x40, 1, 1u), device.Log[^1]);
        guard.Dispose();
        Assert.Equal(0x80000000, new ConfigSpace(config).Read32(0x40));
        Assert.Equal([new OwnerValue(0x40, 1, 1, 0)], restored);
        Assert.True(device.IsDisposed);
    }

    /// <summary>PCI Express Base 6.0, 7.5.3.4: bit 28 of Device Capabilities, bit 15 of Device Control. AF: bit 1 of the capability's byte 3,
    /// bit 0 of byte 4. PM 1.2, 3.2.4: bits 1:0 of PMCSR, and bit 3 says that the return from D3hot resets nothing.</summary>
    [Theory]
    [InlineData(0x00020010u, 0x10000000u, 0x58, 0x8000u, true)]
    [InlineData(0x00020010u, 0x00000000u, 0x58, 0x8000u, false)]
    [InlineData(0x00020010u, 0x10000000u, 0x58, 0x2000u, false)]
    [InlineData(0x03060013u, 0x00000000u, 0x54, 0x0001u, true)]
    [InlineData(0x01060013u, 0x00000000u, 0x54, 0x0001u, false)]
    [InlineData(0x7e030001u, 0x00000003u, 0x54, 0x0000u, true)]
    [InlineData(0x7e030001u, 0x0000000bu, 0x54, 0x0008u, false)]
    [InlineData(0x7e030001u, 0x00000000u, 0x54, 0x0003u, false)]
    public void A_reset_by_config_space_brings_back_what_a_permitted_register_held(uint head, uint next, int offset, uint value, bool resets)
    {
        byte[] config = HardwareShape.Ohci();
        if (head == 0x7e030001u)
            config[0x34] = 0x50;
        else
            config[0x45] = 0x50;
        HardwareShape.Put(config, 0x50, head & 0xffff00ff);
        HardwareShape.Put(config, 0x54, next);
        RecordingDevice device = new(config, new byte[config.Length], HardwareShape.BarBytes) { KeepsConfigOverReset = true };
        using GuardedHardware guard = new(device, permits: [new ConfigPermit(0x40, 0xffffffff, 0x000000ff)]);
        guard.WriteRegion(RegionIndex.Config, 0x40, [0x5a, 0, 0, 0]);
        Assert.Equal(0x5a, config[0x40]);
        guard.WriteRegion(RegionIndex.Config, (ulong)offset, BitConverter.GetBytes((ushort)value));
        Assert.Equal(resets ? 0 : 0x5a, config[0x40]);
    }

    /// <summary>Flag F of VPD starts a transfer when it is written (PCI 3.0, appendix I).</summary>
    [Fact]
    public void A_status_bit_that_was_permitted_is_not_written_back()
    {
        byte[] config = HardwareShape.Ohci();
        config[0x45] = 0x50;
        HardwareShape.Put(config, 0x50, 0x80000003);
        RecordingDevice device = new(config, new byte[config.Length], HardwareShape.BarBytes)
        {
            KeepsConfigOverReset = true,
        };
        GuardedHardware guard = new(device, permits: [new ConfigPermit(0x50, 0xffffffff, 0xffff0000)]);
        guard.WriteRegion(RegionIndex.Config, 0x52, [0x10, 0x00]);
        device.Log.Clear();
        guard.Dispose();
        Assert.Equal(0u, new ConfigSpace(config).Read32(0x50) & 0x80000000);
    }

    [Fact]
    public void A_write_after_it_was_closed_does_not_arrive()
    {
        RecordingDevice device = new(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes);
        GuardedHardware guard = new(device);
        guard.Dispose();
        device.Log.Clear();
        Assert.Throws<ObjectDisposedException>(() => guard.WriteRegion(RegionIndex.Config, 0x04, [0x04, 0x00]));
        Assert.Throws<ObjectDisposedException>(guard.Reset);
        Assert.Empty(device.Log);
    }

    [Fact]
    public void Bits_that_a_permit_hides_read_0_and_are_not_read()
    {
        byte[] config = HardwareShape.Tg3();
        HardwareShape.Put(config, 0x80, 0x12345678);
        RecordingDevice device = new(config, new byte[config.Length], HardwareShape.BarBytes);
        using GuardedHardware guard = new(device, permits: [new ConfigPermit(0x80, 0, 0)]);
        device.Log.Clear();
        byte[] read = new byte[16];
        guard.ReadRegion(RegionIndex.Config, 0x78, read);
        guard.WriteRegion(RegionIndex.Config, 0x80, [9, 9, 9, 9]);
        Assert.Equal(new byte[4], read[8..12]);
        Assert.DoesNotContain(device.Log, entry => entry.Offset is >= 0x80 and < 0x84);
    }

    [Theory]
    [InlineData(0x10, 0xffffffffu, 1u, "the guard's own")]
    [InlineData(0x41, 0xffffffffu, 1u, "not a multiple of 4")]
    [InlineData(0x100, 0xffffffffu, 1u, "not a multiple of 4 below 0x100")]
    [InlineData(0x40, 0u, 1u, "may be written but not read")]
    public void A_permit_that_cannot_be_is_EINVAL_and_closes_the_device(int offset, uint readBits, uint writeBits, string reason)
    {
        RecordingDevice device = new(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes);
        VfioException refusal = Assert.Throws<VfioException>(() => new GuardedHardware(device, permits: [new(offset, readBits, writeBits)]));
        Assert.Equal(22, (int)refusal.Errno);
        Assert.Contains(reason, refusal.Message);
        Assert.True(device.IsDisposed);
    }

    /// <summary>Linux lets Command through and not Status (vfio_pci_config.c): a write of both would clear Status.</summary>
    [Fact]
    public void A_write_across_a_status_register_does_not_clear_it_where_the_kernel_merges()
    {
        byte[] config = HardwareShape.Ohci();
        byte[] status = new byte[256];
        byte[] merged = new byte[256];
        (status[0x06], status[0x07], merged[0x06], merged[0x07]) = (0x00, 0xf9, 0xff, 0xff);
        RecordingDevice device = new(config, status, HardwareShape.BarBytes) { Merged = merged };
        using GuardedHardware guard = new(device);
        guard.WriteRegion(RegionIndex.Config, 0x04, [0x46, 0x01, 0, 0]);
        Assert.Equal(0xf9100146u, new ConfigSpace(config).Read32(0x04));
    }

    [Fact]
    public void Pages_of_the_MSIX_table_are_not_mapped_and_all_others_are_of_the_same_file()
    {
        using SharedMemory memory = SharedMemory.Create("hardware", 4096);
        FileDescriptor file = memory.File;
        byte[] config = HardwareShape.Ohci();
        config[0x45] = 0x50;
        HardwareShape.Put(config, 0x50, 0x00070011);        // MSI-X of 8 vectors
        HardwareShape.Put(config, 0x54, 0x00002000);        // table: BAR0, 0x2000
        HardwareShape.Put(config, 0x58, 0x00003000);        // pending bits: BAR0, 0x3000
        RecordingDevice device = new(config, new byte[256], HardwareShape.BarBytes) { File = file };
        using GuardedHardware guard = new(device);
        RegionInfo bar = guard.GetRegion(RegionIndex.Bar(0));
        Assert.Same(file, bar.File);
        Assert.True(bar.IsFilePrivate);
        Assert.Equal([new MmapArea(0, 0x2000), new MmapArea(0x3000, 0xd000)], bar.MmapAreas);
        Assert.Empty(guard.GetRegion(RegionIndex.Bar(5)).MmapAreas);
        Assert.True(guard.GetRegion(RegionIndex.Bar(5)).IsMappable);
    }

    /// <summary>PCI 3.0, 6.8.2: bits 2:0 of both dwords are the BAR, 6 is reserved.</summary>
    [Theory]
    [InlineData(0x00002000u, 0x00020000u, true)]        // pending bits: behind BAR0
    [InlineData(0x00002000u, 0x00000006u, true)]        // pending bits: in no BAR
    [InlineData(0x0000fff0u, 0x00003000u, false)]       // table: over the end of BAR0
    [InlineData(0x00000006u, 0x00003000u, false)]       // table: in no BAR
    public void Nothing_is_mapped_of_a_device_whose_MSIX_table_may_be_anywhere(uint table, uint pending, bool isKnown)
    {
        using SharedMemory memory = SharedMemory.Create("hardware", 4096);
        byte[] config = HardwareShape.Ohci();
        config[0x45] = 0x50;
        HardwareShape.Put(config, 0x50, 0x00070011);
        HardwareShape.Put(config, 0x54, table);
        HardwareShape.Put(config, 0x58, pending);
        using GuardedHardware guard = new(new RecordingDevice(config, new byte[256], HardwareShape.BarBytes) { File = memory.File });
        RegionInfo bar = guard.GetRegion(RegionIndex.Bar(0));
        Assert.Equal((isKnown, isKnown, isKnown), (bar.IsMappable, bar.File is not null, guard.GetRegion(RegionIndex.Bar(5)).IsMappable));
        Assert.DoesNotContain(bar.MmapAreas, area => area.Offset < 0x3000 && area.Offset + area.Length > 0x2000);
    }

    [Fact]
    public void Interrupts_are_bound_to_the_users_own_eventfd()
    {
        RecordingDevice device = new(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes);
        using GuardedHardware guard = new(device);
        using EventFd signal = EventFd.Create();
        guard.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, [signal.Descriptor]));
        Assert.Same(signal.Descriptor, Assert.Single(device.Bound));
    }

    [Fact]
    public void The_owner_limits_the_mappings_of_the_user()
    {
        RecordingDevice device = new(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes);
        using GuardedHardware guard = new(device, new GuardPolicy { MaxDmaMappings = 2 });
        Map(guard, 0x1000);
        Map(guard, 0x2000);
        VfioException refusal = Assert.Throws<VfioException>(() => Map(guard, 0x3000));
        Assert.Equal(12, (int)refusal.Errno);
        Assert.Equal(4096ul, guard.UnmapDma(new Iova(0x1000), 4096));
        Map(guard, 0x3000);
        Assert.Equal(8192ul, guard.UnmapDma(new Iova(0), 0x10000));
        Map(guard, 0x1000);
        guard.UnmapAllDma();
        Map(guard, 0x1000);
        Map(guard, 0x2000);
    }

    [Fact]
    public void A_mapping_that_is_undone_with_its_written_pages_no_longer_counts()
    {
        using GuardedFunction owner = ModelCatalog.CreateGuarded("edu", new Dictionary<string, string>());
        using IVfioDevice guard = new GuardedHardware(owner.Open(), new GuardPolicy { MaxDmaMappings = 1 });
        Assert.True(guard.TryGet(out IDirtyTracker? tracker));
        Assert.True(tracker.TracksDirtyPages);
        tracker.StartDirtyTracking(4096, []);
        byte[] bitmap = new byte[DirtyBitmap.LengthOf(4096, 4096)];
        for (int i = 0; i < 3; i++)
        {
            Map(guard, 0x1000);
            tracker.ReportDirtyPages(new Iova(0x1000), 4096, 4096, bitmap);
            Assert.Equal(4096ul, tracker.UnmapDma(new Iova(0x1000), 4096, 4096, bitmap));
        }

        tracker.StopDirtyTracking();
    }

    /// <summary>A state is bytes that no table describes: with it a user could set what the rules refuse.</summary>
    [Fact]
    public void The_state_of_the_device_below_can_be_neither_read_nor_written_past_the_rules()
    {
        using GuardedFunction owner = ModelCatalog.CreateGuarded("edu", new Dictionary<string, string>());
        IVfioDevice below = owner.Open();
        Assert.True(below.TryGet(out IMigratableDevice? _));
        using IVfioDevice guard = new GuardedHardware(below);
        Assert.False(guard.TryGet(out IMigratableDevice? _));
        Assert.False(guard.TryGet(out IHandoverDevice? _));
    }

    [Fact]
    public void A_device_without_a_reset_is_not_opened_unless_its_owner_allows_it()
    {
        RecordingDevice device = new(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes) { CanReset = false };
        Assert.Equal(25, (int)Assert.Throws<VfioException>(() => new GuardedHardware(device)).Errno);
        Assert.True(device.IsDisposed);
        using GuardedHardware allowed = new(
            new RecordingDevice(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes) { CanReset = false },
            new GuardPolicy { AllowWithoutReset = true });
        Assert.False(allowed.Info.CanReset);
    }

    [Fact]
    public void The_device_below_is_not_given_out()
    {
        using IVfioDevice guard = new GuardedHardware(new RecordingDevice(HardwareShape.Ohci(), new byte[256], HardwareShape.BarBytes));
        Assert.False(guard.TryGet(out RecordingDevice? _));
        Assert.True(guard.TryGet(out IVfioDevice? device));
        Assert.Same(guard, device);
    }

    [Fact]
    public void Several_registers_at_once_follow_the_rules_of_config_space_too()
    {
        byte[] config = HardwareShape.Ohci();
        RecordingDevice device = new(config, new byte[256], HardwareShape.BarBytes);
        using GuardedHardware guard = new(device);
        guard.WriteRegions([new RegisterWrite(RegionIndex.Config, 0x40, 4, 5), new RegisterWrite(RegionIndex.Config, 0x0c, 1, 0x10)]);
        ulong[] values = new ulong[3];
        guard.ReadRegions([new(RegionIndex.Bar(0), 0, 1), new(RegionIndex.Config, 0x40, 4), new(RegionIndex.Config, 0x0c, 1)], values);
        Assert.Equal([0xb0, 0, 0x10], values);
    }

    private static void Map(IVfioDevice guard, ulong at) =>
        guard.MapDma(new DmaMapping(new Iova(at), 4096, DmaAccess.ReadWrite, new FakeMemory(4096), 0));

    private static byte[] Make(string shape, out ulong[] lengths)
    {
        lengths = HardwareShape.BarBytes;
        return shape switch
        {
            "ohci" => HardwareShape.Ohci(),
            "tg3" => HardwareShape.Tg3(),
            "ahci" => HardwareShape.Ahci(),
            _ => RandomConfig.Make(new Random(int.Parse(shape)), out lengths),
        };
    }
}
