using Vfio.Guard;
using Vfio.Guard.Config;
using Vfio.Pci;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>Config space as a user has it. Offsets and bits are those of the PCI specifications.</summary>
public sealed class GuardedConfigTests
{
    private const int PowerControl = 0x44, Msi = 0x48;

    private static readonly FunctionDescription Everything = new("x", 0x8086, 0x10c9)
    {
        InterruptPin = 1,
        PowerManagement = PowerManagementKind.SoftReset,
        MsiVectors = 4,
        MsiHasMasks = true,
        IsExpress = true,
        HasFlr = true,
    };

    [Fact]
    public void Ids_cannot_be_written_and_refused_bits_are_counted()
    {
        using Lease lease = new(Everything);
        lease.Write(0, 4, ~0x10c98086u);
        Assert.Equal(0x10c98086u, lease.Read(0, 4));
        Assert.Equal(0x10c98086u, lease.Function.ReadConfig(0, 4));
        Assert.Equal(32, lease.Guarded.RefusalsOfUser.ConfigBits);
        lease.Write(0, 4, 0x10c98086);
        Assert.Equal(32, lease.Guarded.RefusalsOfUser.ConfigBits);
        lease.Device.Dispose();
        Assert.Equal(0, lease.Guarded.RefusalsOfUser.ConfigBits);
        Assert.Equal(32, lease.Guarded.Refusals.ConfigBits);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Bars_are_sized_at_every_width_and_the_real_ones_stay(int width)
    {
        using Lease lease = new(
            Everything,
            (0, new MemoryBar("a", 0x2000), BarType.Memory32),
            (1, new MemoryBar("b", 0x20), BarType.Io),
            (2, new MemoryBar("c", 0x100000), BarType.PrefetchableMemory64),
            (6, new MemoryBar("r", 0x800), BarType.Memory32));
        uint[] real = [.. Registers().Select(offset => lease.Function.ReadConfig(offset, 4))];
        Assert.NotEqual(0u, real[0] & ~0xfu);
        foreach (int offset in Registers())
        {
            for (int i = 0; i < 4; i += width)
                lease.Write(offset + i, width, uint.MaxValue);
        }

        uint[] sizes = [.. Registers().Select(offset => Enumerable.Range(0, 4 / width)
            .Aggregate(0u, (value, i) => value | lease.Read(offset + (i * width), width) << (8 * i * width)))];
        Assert.Equal([0xffffe000, 0xffffffe1, 0xfff0000c, 0xffffffff, 0, 0, 0xfffff801], sizes);
        Assert.Equal(real, Registers().Select(offset => lease.Function.ReadConfig(offset, 4)));

        // Any value goes, with decoding on or off; what the size leaves out does not stay.
        lease.Write(0x10, 4, 0xabcd_ef10);
        lease.Write(0x18, 4, 0x1234_5678);
        lease.Write(0x1c, 4, 0xdead_beef);
        Assert.Equal((0xabcde000u, 0x1230000cu, 0xdeadbeefu), (lease.Read(0x10, 4), lease.Read(0x18, 4), lease.Read(0x1c, 4)));

        static int[] Registers() => [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30];
    }

    [Fact]
    public void Bus_master_is_off_at_open_and_reaches_the_hardware_when_the_user_enables_it()
    {
        using Lease lease = new(Everything);
        Assert.Equal(0x0003u, lease.Read(4, 2));
        lease.Write(4, 2, 0x0007);
        Assert.Equal(4u, lease.Function.ReadConfig(4, 2) & 4);
        lease.Device.Dispose();
        Assert.Equal(0u, lease.Function.ReadConfig(4, 2) & 4);
    }

    [Fact]
    public void Decoding_is_the_users_for_itself_and_an_access_without_it_is_EIO()
    {
        using Lease lease = new(
            Everything, (0, new MemoryBar("a", 0x1000), BarType.Memory32), (1, new MemoryBar("b", 0x20), BarType.Io));
        lease.WriteBar(0, 0, 5);
        lease.Write(4, 2, 1);
        Assert.Equal(3u, lease.Function.ReadConfig(4, 2) & 3);
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => lease.ReadBar(0, 0)).Errno);
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => lease.WriteBar(0, 0, 6)).Errno);
        Assert.Equal(0u, lease.ReadBar(1, 0));
        lease.Write(4, 2, 2);
        Assert.Equal(5u, lease.ReadBar(0, 0));
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => lease.ReadBar(1, 0)).Errno);
    }

    [Fact]
    public void Real_bars_are_restored_when_decoding_is_enabled_after_a_reset_that_the_guard_did_not_make()
    {
        using Lease lease = new(Everything, (0, new MemoryBar("a", 0x1000), BarType.Memory32));
        uint real = lease.Function.ReadConfig(0x10, 4);
        lease.Function.Reset(ResetMethod.DeviceSpecific);
        Assert.Equal((0u, 0u), (lease.Function.ReadConfig(0x10, 4), lease.Function.ReadConfig(4, 2)));
        lease.Write(4, 2, 6);
        Assert.Equal(real, lease.Function.ReadConfig(0x10, 4));
        Assert.Equal(6u, lease.Function.ReadConfig(4, 2));
    }

    [Theory]
    [InlineData(0x68, 0x8000, 2)]
    [InlineData(0x69, 0x80, 1)]
    [InlineData(0x68, 0x8000, 4)]
    public void Function_level_reset_through_express(int offset, uint value, int width)
    {
        using Lease lease = new(Everything, (0, new MemoryBar("a", 0x1000), BarType.Memory32));
        Assert.Equal(0x10u, lease.Read(0x60, 1));
        AssertResets(lease, () => lease.Write(offset, width, value));
        Assert.Equal(0u, lease.Read(0x68, 2) & 0x8000);
    }

    [Fact]
    public void Reset_through_advanced_features()
    {
        using Lease lease = new(new FunctionDescription("x", 1, 2) { HasFlr = true }, (0, new MemoryBar("a", 0x1000), BarType.Memory32));
        Assert.Equal(0x13u, lease.Read(0x40, 1));
        AssertResets(lease, () => lease.Write(0x44, 1, 1));
        Assert.Equal(0u, lease.Read(0x44, 1));
    }

    [Fact]
    public void Reset_through_D3hot_and_back()
    {
        using Lease lease = new(Everything, (0, new MemoryBar("a", 0x1000), BarType.Memory32));
        AssertResets(lease, () =>
        {
            lease.Write(PowerControl, 2, 3);
            Assert.Equal(3u, lease.Read(PowerControl, 2) & 3);
            Assert.Equal(0u, lease.Function.ReadConfig(PowerControl, 2) & 3);
            Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => lease.ReadBar(0, 0)).Errno);
            Assert.Equal(Errno.OperationNotPermitted, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
            lease.Write(PowerControl, 2, 0);
        });
    }

    [Fact]
    public void States_that_the_function_does_not_have_are_ignored()
    {
        using Lease lease = new(Everything);
        lease.Write(PowerControl, 2, 1);
        Assert.Equal(0u, lease.Read(PowerControl, 2) & 3);
    }

    [Fact]
    public void With_No_Soft_Reset_a_return_from_D3hot_resets_nothing()
    {
        using Lease lease = new(Everything with { PowerManagement = PowerManagementKind.NoSoftReset });
        int resets = lease.Function.Resets;
        lease.Write(4, 2, 7);
        lease.Write(PowerControl, 2, 3);
        lease.Write(PowerControl, 2, 0);
        Assert.Equal((resets, 7u), (lease.Function.Resets, lease.Read(4, 2)));
    }

    [Fact]
    public void Msi_is_the_users_own_and_the_real_one_is_not_touched()
    {
        using Lease lease = new(Everything);
        byte[] real = [.. Enumerable.Range(Msi, 24).Select(offset => (byte)lease.Function.ReadConfig(offset, 1))];
        lease.Write(Msi + 4, 4, 0xfee1_2344);
        lease.Write(Msi + 8, 4, 0x1);
        lease.Write(Msi + 12, 2, 0x4321);
        lease.Write(Msi + 2, 2, 0x0021);
        Assert.Equal((0xfee12344u, 1u, 0x4321u), (lease.Read(Msi + 4, 4), lease.Read(Msi + 8, 4), lease.Read(Msi + 12, 2)));
        Assert.Equal(0x01a5u, lease.Read(Msi + 2, 2));
        Assert.Equal(real, Enumerable.Range(Msi, 24).Select(offset => (byte)lease.Function.ReadConfig(offset, 1)));
    }

    [Fact]
    public void The_read_request_size_passes_but_not_below_the_payload_size()
    {
        // Payload size 1 (256 bytes) in the hardware, set by its owner.
        PlainFunction plain = new(Everything);
        plain.WriteConfig(0x68, 2, 0x2830);
        using GuardedFunction guarded = new(plain);
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 0x68, [0x30, 0x58]);
        Assert.Equal(0x5830u, plain.ReadConfig(0x68, 2));
        device.WriteRegion(RegionIndex.Config, 0x68, [0x30, 0x08]);
        Assert.Equal(0x1830u, plain.ReadConfig(0x68, 2));
        device.WriteRegion(RegionIndex.Config, 0x68, [0xf0, 0x78]);
        Assert.Equal(0x5830u, plain.ReadConfig(0x68, 2));
    }

    [Fact]
    public void A_virtual_function_shows_its_ids_and_decodes_always()
    {
        FunctionDescription description = new("vf", 1, 2)
        {
            VirtualIds = new VirtualFunctionIds(0x8086, 0x10ca),
            HasFlr = true,
            IsExpress = true,
        };
        using Lease lease = new(description, (0, new MemoryBar("a", 0x1000), BarType.Memory64));
        Assert.Equal(0x10ca8086u, lease.Read(0, 4));
        lease.Write(0, 4, 0);
        Assert.Equal(0x10ca8086u, lease.Read(0, 4));
        lease.Write(4, 2, 0);
        Assert.Equal(0u, lease.ReadBar(0, 0));
        lease.Write(0x10, 4, uint.MaxValue);
        Assert.Equal(0xfffff004u, lease.Read(0x10, 4));
    }

    [Fact]
    public void Accesses_keep_their_width()
    {
        byte[] config = new byte[256];
        new byte[] { 0x34, 0x12, 0x78, 0x56 }.CopyTo(config, 0);
        RamFunction hardware = new(config, new ulong[7], new byte[256]);
        using GuardedFunction guarded = new(hardware);
        using IVfioDevice device = guarded.Open();
        Assert.Equal(["R1@8", "R2@a", "R4@2c", "R4@38", "W1@c"], Log(
            () => device.ReadRegion(RegionIndex.Config, 8, new byte[1]),
            () => device.ReadRegion(RegionIndex.Config, 0xa, new byte[2]),
            () => device.ReadRegion(RegionIndex.Config, 0x2c, new byte[4]),
            () => device.ReadRegion(RegionIndex.Config, 0x38, new byte[4]),
            () => device.WriteRegion(RegionIndex.Config, 0x0c, new byte[1])));
        Assert.Equal(["R1@29", "R2@2a", "R4@2c", "R1@40"], Log(
            () => device.ReadRegion(RegionIndex.Config, 0x29, new byte[7]),
            () => device.ReadRegion(RegionIndex.Config, 0x40, new byte[1])));

        // A read-only register is read to count what is refused, and never written; the same for virtual bits alone.
        Assert.Equal(["R4@2c"], Log(() => device.WriteRegion(RegionIndex.Config, 0x2c, [1, 2, 3, 4])));
        Assert.Empty(Log(
            () => device.WriteRegion(RegionIndex.Config, 0x10, [1, 2, 3, 4]),
            () => device.ReadRegion(RegionIndex.Config, 0x10, new byte[4])));

        IEnumerable<string> Log(params Action[] actions)
        {
            hardware.Log.Clear();
            foreach (Action action in actions)
                action();
            return [.. hardware.Log.Select(entry => $"{(entry.IsWrite ? 'W' : 'R')}{entry.Width}@{entry.Offset:x}")];
        }
    }

    [Fact]
    public void Status_bits_of_others_survive_a_write_beside_them()
    {
        byte[] config = new byte[256];
        byte[] status = new byte[256];
        config[0] = 0x86;
        config[7] = status[7] = 0xf9;
        RamFunction hardware = new(config, new ulong[7], status);
        using GuardedFunction guarded = new(hardware);
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 4, [0x44, 0x01, 0xff, 0xff]);
        Assert.Equal(0xf9, hardware.Config[7]);
        Assert.Equal(0x0144, hardware.Config[4] | hardware.Config[5] << 8);

        // 66MHz and so on: bits 15:0 of Status except the five that are 1 and cannot be cleared by writing them back.
        Assert.True(guarded.RefusalsOfUser.ConfigBits >= 5);
    }

    [Fact]
    public void Permit_hides_and_passes_through()
    {
        byte[] config = new byte[256];
        new byte[] { 0x34, 0x12, 0x78, 0x56 }.CopyTo(config, 0);
        new byte[] { 0xaa, 0xbb, 0xcc, 0xdd }.CopyTo(config, 0x40);
        RamFunction hardware = new(config, new ulong[7], new byte[256]);
        using GuardedFunction guarded = new(hardware);
        using IVfioDevice device = guarded.Open();
        byte[] bytes = new byte[4];
        device.WriteRegion(RegionIndex.Config, 0x40, [1, 2, 3, 4]);
        Assert.Equal(0xaa, hardware.Config[0x40]);
        guarded.Permit(0x40, readBits: 0x00ff_ffff, writeBits: 0x0000_00ff);
        device.WriteRegion(RegionIndex.Config, 0x40, [1, 2, 3, 4]);
        device.ReadRegion(RegionIndex.Config, 0x40, bytes);
        Assert.Equal([1, 0xbb, 0xcc, 0], bytes);
        Assert.Equal([1, 0xbb, 0xcc, 0xdd], hardware.Config.Slice(0x40, 4).ToArray());
        Assert.Throws<ArgumentException>(() => guarded.Permit(0x10, uint.MaxValue, 0xffff_0000));
        Assert.Throws<ArgumentException>(() => guarded.Permit(0x10, 0, 0));
        Assert.Throws<ArgumentException>(() => guarded.Permit(0x42, uint.MaxValue, 0));
        Assert.Throws<ArgumentException>(() => guarded.Permit(0x44, 0, 1));
    }

    [Fact]
    public void A_range_outside_config_space_is_EINVAL()
    {
        using Lease lease = new(new FunctionDescription("x", 1, 2));
        foreach ((ulong offset, int count) in new[] { (255ul, 2), (256ul, 1), (ulong.MaxValue, 1), (ulong.MaxValue - 1, 4) })
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(
                () => lease.Device.ReadRegion(RegionIndex.Config, offset, new byte[count])).Errno);
    }

    private static void AssertResets(Lease lease, Action reset)
    {
        int before = lease.Function.Resets;
        uint bar = lease.Function.ReadConfig(0x10, 4);
        lease.MapDma(0x10000, 0x1000);
        lease.Write(0x10, 4, 0xabcd0000);
        lease.Write(0x0c, 1, 0x10);
        lease.Write(4, 2, 7);
        Assert.Equal(Errno.None, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
        reset();
        Assert.Equal(before + 1, lease.Function.Resets);

        // The real BAR and decoding are back, the user's are as after power-on, and the mapping stays for when it masters again.
        Assert.Equal(bar, lease.Function.ReadConfig(0x10, 4));
        Assert.Equal(2u, lease.Function.ReadConfig(4, 2) & 6);
        Assert.Equal((0u, 0u, 0u), (lease.Read(4, 2), lease.Read(0x10, 4), lease.Read(0x0c, 1)));
        Assert.Equal(Errno.OperationNotPermitted, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
        lease.Write(4, 2, 6);
        Assert.Equal(Errno.None, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
    }
}
