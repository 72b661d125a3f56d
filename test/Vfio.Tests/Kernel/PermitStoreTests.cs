using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Tests.Guard;

namespace Vfio.Tests.Kernel;

/// <summary>What root permits on functions, and how long.</summary>
public sealed class PermitStoreTests : IDisposable
{
    private const string Function = "0000:01:00.0";
    private readonly FakeMachine _machine = new();
    private readonly PciAddress _address;

    public PermitStoreTests() => _address = _machine.AddFunction(Function, "vfio-pci", group: 4);

    private PermitStore Store => new(_machine.Paths, _machine);

    private KernelFunction Found => new PciTopology(_machine.Paths.Sysfs).Find(_address);

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void A_permit_ends_when_the_function_is_released_and_a_saved_one_does_not()
    {
        Store.Add(Found, new StoredPermit(0x40, 0xffffffff, 1));
        Store.Add(Found, new StoredPermit(0x90, 0x0000ffff, 0xff) { IsSaved = true });
        Assert.Equal([(0x40, 1u, false), (0x90, 0xffu, true)], Permits());
        _machine.DeviceBinder.Unbind(_address);
        Assert.Equal([(0x90, 0xffu, true)], Permits());
        Assert.Empty(Directory.EnumerateFiles(_machine.Paths.Records));
    }

    [Fact]
    public void A_permit_ends_when_the_function_is_assigned_to_another_user()
    {
        UserAccount alice = new("alice", 3_999_001_000, 3_999_001_000), bob = new("bob", 3_999_001_001, 3_999_001_001);
        _machine.DeviceBinder.Bind(_address, alice);
        Store.Add(Found, new StoredPermit(0x40, 0xffffffff, 1));
        _machine.DeviceBinder.Bind(_address, alice);
        Assert.Single(Permits());
        _machine.DeviceBinder.Bind(_address, bob);
        Assert.Empty(Permits());
    }

    [Fact]
    public void The_permit_of_the_present_assignment_comes_before_a_saved_one_of_the_same_dword()
    {
        Store.Add(Found, new StoredPermit(0x40, 0xffffffff, 0xff) { IsSaved = true });
        Store.Add(Found, new StoredPermit(0x40, 0xffffffff, 1));
        Assert.Equal([(0x40, 1u, false)], Permits());
        Store.Add(Found, new StoredPermit(0x40, 0xffffffff, 3));
        Assert.Equal([(0x40, 3u, false)], Permits());
        Assert.True(Store.Remove(Found, 0x40));
        Assert.Empty(Permits());
        Assert.False(Store.Remove(Found, 0x40));
    }

    [Theory]
    [InlineData(0x42, 0xffffffff, 1, 22, "multiple of 4")]
    [InlineData(0x40, 0x0, 1, 22, "written but not read")]
    [InlineData(0x10, 0xffffffff, 1, 22, "the guard's own")]
    [InlineData(0x100, 0xffffffff, 1, 22, "below 0x100")]
    public void A_permit_that_cannot_be_is_refused_with_its_reason(int offset, uint readBits, uint writeBits, int errno, string reason)
    {
        VfioException refusal = Assert.Throws<VfioException>(() => Store.Add(Found, new StoredPermit(offset, readBits, writeBits)));
        Assert.Equal(errno, (int)refusal.Errno);
        Assert.Contains(reason, refusal.Message);
        Assert.Empty(Permits());
    }

    /// <summary>PCI Express Base 6.0, 7.5.3.16: bit 11 of Device Control 2 asks for an emergency power reduction of all functions of the
    /// component. 7.9.18: VPD writes to the board.</summary>
    [Theory]
    [InlineData(0x78, 0x00000800u, "Express")]
    [InlineData(0x50, 0x00000100u, "Express")]
    [InlineData(0x04, 0x80000000u, "Header")]
    [InlineData(0x3c, 0x00000100u, "Header")]
    [InlineData(0x104, 0x00000004u, "PASID")]
    [InlineData(0x40, 0x80000000u, null)]
    [InlineData(0x44, 0xffffffffu, null)]
    [InlineData(0x90, 0xffffffffu, null)]
    public void Bits_that_a_table_keeps_from_the_user_are_not_permitted(int offset, uint writeBits, string? structure)
    {
        byte[] config = new byte[4096];
        HardwareShape.Put(config, 0x00, 0x11e81234);
        HardwareShape.Put(config, 0x04, 0x00100006);
        HardwareShape.Put(config, 0x34, 0x40);
        HardwareShape.Put(config, 0x40, 0x00005003);        // VPD, next 0x50
        HardwareShape.Put(config, 0x50, 0x00020010);        // PCI Express, version 2
        HardwareShape.Put(config, 0x100, 0x0001001b);       // PASID
        File.WriteAllBytes(_machine.PathOf($"sys/bus/pci/devices/{Function}/config"), config);
        if (structure is null)
        {
            Store.Add(Found, new StoredPermit(offset, 0xffffffff, writeBits));
            Assert.Single(Permits());
            return;
        }

        VfioException refusal = Assert.Throws<VfioException>(() => Store.Add(Found, new StoredPermit(offset, 0xffffffff, writeBits)));
        Assert.Equal(22, (int)refusal.Errno);
        Assert.Contains(structure, refusal.Message);
        Assert.Empty(Permits());
    }

    [Fact]
    public void What_is_checked_is_what_is_there_when_the_permit_is_stored()
    {
        // Until the lock is had, another device comes to the address: a BCM5721 with its window.
        _machine.Locked = () =>
        {
            byte[] config = new byte[256];
            (config[0], config[1], config[2], config[3]) = (0xe4, 0x14, 0x59, 0x16);
            File.WriteAllBytes(_machine.PathOf($"sys/bus/pci/devices/{Function}/config"), config);
            _machine.Write($"sys/bus/pci/devices/{Function}/vendor", "0x14e4\n");
            _machine.Write($"sys/bus/pci/devices/{Function}/device", "0x1659\n");
        };
        Assert.Equal(1, (int)Assert.Throws<VfioException>(() => Store.Add(Found, new StoredPermit(0x78, 0xffffffff, 1))).Errno);
        Assert.Empty(Permits());
    }

    [Fact]
    public void Without_an_assignment_only_a_saved_permit_makes_sense()
    {
        PciAddress other = _machine.AddFunction("0000:02:00.0", null, group: 5);
        KernelFunction found = new PciTopology(_machine.Paths.Sysfs).Find(other);
        Assert.Contains("--save", Assert.Throws<VfioException>(() => Store.Add(found, new StoredPermit(0x40, 1, 1))).Message);
        Store.Add(found, new StoredPermit(0x40, 1, 1) { IsSaved = true });
        Assert.Single(Store.Of(found));
    }

    /// <summary>14e4:1659 is a BCM5721 of Broadcom: tg3.h of Linux has the window at 0x78 to 0x87.</summary>
    [Fact]
    public void A_window_into_the_device_is_not_permitted_and_speaks_against_the_function()
    {
        _machine.Write($"sys/bus/pci/devices/{Function}/vendor", "0x14e4\n");
        _machine.Write($"sys/bus/pci/devices/{Function}/device", "0x1659\n");
        byte[] config = new byte[256];
        (config[0], config[1], config[2], config[3]) = (0xe4, 0x14, 0x59, 0x16);
        File.WriteAllBytes(_machine.PathOf($"sys/bus/pci/devices/{Function}/config"), config);
        _machine.Write($"sys/bus/pci/devices/{Function}/resource", "");
        foreach (int offset in new[] { 0x78, 0x7c, 0x80, 0x84 })
        {
            VfioException refusal = Assert.Throws<VfioException>(() => Store.Add(Found, new StoredPermit(offset, 0xffffffff, 0xffffffff)));
            Assert.Equal(1, (int)refusal.Errno);
            Assert.Contains("tg3", refusal.Message);
        }

        Store.Add(Found, new StoredPermit(0x74, 1, 1));
        Store.Add(Found, new StoredPermit(0x88, 1, 1));
        Finding finding = Assert.Single(Found.Check().Findings, finding => finding.Question == "nothing strange in config space");
        Assert.Equal(Answer.No, finding.Answer);
        Assert.Contains("0x78 to 0x87", finding.Reason);
    }

    [Fact]
    public void Permits_of_another_device_at_the_same_address_and_damaged_files_do_not_count()
    {
        Store.Add(Found, new StoredPermit(0x40, 1, 1) { IsSaved = true });
        _machine.Write($"sys/bus/pci/devices/{Function}/device", "0x10ca\n");
        Assert.Empty(Permits());
        Store.Add(Found, new StoredPermit(0x44, 1, 1) { IsSaved = true });
        Assert.Equal([(0x44, 1u, true)], Permits());
        File.WriteAllText(Path.Combine(_machine.Paths.SavedPermits, PermitStore.NameOf(_address)), "{\"Device\":");
        Assert.Empty(Permits());
    }

    private (int, uint, bool)[] Permits() => [.. Store.Of(Found).Select(permit => (permit.Offset, permit.WriteBits, permit.IsSaved))];
}
