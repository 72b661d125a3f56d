using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>Binding, assigning and releasing on a machine made here, which obeys as Linux does.</summary>
public sealed class BindTests : IDisposable
{
    private const string First = "0000:01:00.0", Second = "0000:01:00.1", Port = "0000:00:01.0";
    private static readonly UserAccount Alice = new("alice", 3_999_001_000, 3_999_001_000), Bob = new("bob", 3_999_001_001, 3_999_001_001);
    private readonly FakeMachine _machine = new();
    private readonly PciAddress _first;

    public BindTests()
    {
        _machine.AddFunction(Port, "pcieport", group: 7, classCode: 0x060400, headerType: 1);
        _first = _machine.AddFunction(First, "e1000e", group: 7, headerType: 0x80);
        _machine.AddFunction(Second, "snd_hda_intel", group: 7);
    }

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void A_group_is_bound_assigned_and_released_to_the_drivers_that_had_it()
    {
        string before = _machine.Snapshot();
        _machine.DeviceBinder.Bind(_first, Alice, persist: true);
        Assert.Equal(["pcieport", "vfio-pci", "vfio-pci"], new[] { Port, First, Second }.Select(_machine.DriverOf));
        Assert.Equal(3_999_001_000u, _machine.OwnerOf("vfio/7"));
        Assert.Equal("3999001000", _machine.DeviceBinder.AssignmentOf(_first)!.To);
        Assert.Equal("vfio-pci", _machine.Read($"etc/driverctl.d/pci-{Second}"));

        IReadOnlyList<ReleasedFunction> released = _machine.DeviceBinder.Unbind(_first);
        Assert.Equal([("e1000e", "e1000e"), ("snd_hda_intel", "snd_hda_intel")], released.Select(member => (member.Driver!, member.PreviousDriver!)));
        Assert.Equal(before, _machine.Snapshot());
    }

    [Fact]
    public void Whatever_change_of_binding_is_refused_everything_is_as_before()
    {
        _machine.Write($"etc/driverctl.d/pci-{First}", "pci-stub\n");
        string before = _machine.Snapshot();
        int refused = 0;
        while (true)
        {
            _machine.Changes.Clear();
            _machine.RefusedChange = refused;
            try
            {
                _machine.DeviceBinder.Bind(_first, Alice, persist: true);
                break;
            }
            catch (VfioException refusal)
            {
                Assert.Equal(5, (int)refusal.Errno);
                Assert.DoesNotContain("could not be undone", refusal.Message);
                Assert.Equal(before, _machine.Snapshot());
                refused++;
            }
        }

        // Record, override, driver, probe of two functions, four files and two at boot.
        Assert.Equal(14, refused);
    }

    [Fact]
    public void Whatever_change_of_releasing_is_refused_everything_is_as_before()
    {
        _machine.DeviceBinder.Bind(_first, Alice, persist: true);
        string before = Normalize(_machine.Snapshot());
        int refused = 0;
        while (true)
        {
            _machine.Changes.Clear();
            _machine.RefusedChange = refused;
            try
            {
                _machine.DeviceBinder.Unbind(_first);
                break;
            }
            catch (VfioException refusal)
            {
                Assert.Equal(5, (int)refusal.Errno);
                Assert.DoesNotContain("could not be undone", refusal.Message);
                Assert.Equal(before, Normalize(_machine.Snapshot()));
                refused++;
            }
        }

        Assert.InRange(refused, 10, 20);
        Assert.Equal("e1000e", _machine.DriverOf(First));
    }

    [Fact]
    public void Whatever_change_of_assigning_to_another_user_is_refused_the_owner_stays()
    {
        _machine.DeviceBinder.Bind(_first, Alice);
        string before = _machine.Snapshot();
        for (int refused = 0; refused < 3; refused++)
        {
            _machine.Changes.Clear();
            _machine.RefusedChange = refused;
            Assert.Throws<VfioException>(() => _machine.DeviceBinder.Bind(_first, Bob));
            Assert.Equal(before, _machine.Snapshot());
        }
    }

    [Fact]
    public void A_driver_that_does_not_take_the_second_function_gives_the_first_one_back()
    {
        string before = _machine.Snapshot();
        _machine.BrokenDrivers.Add("vfio-pci");
        Assert.Equal(19, (int)Assert.Throws<VfioException>(() => _machine.DeviceBinder.Bind(_first, Alice)).Errno);
        Assert.Equal(before, _machine.Snapshot());
    }

    [Fact]
    public void Binding_again_reports_the_state_and_changes_nothing()
    {
        _machine.DeviceBinder.Bind(_first, Alice);
        _machine.Changes.Clear();
        Assert.True(_machine.DeviceBinder.Bind(_first, Alice).IsDone);
        Assert.True(_machine.DeviceBinder.Bind(_first).IsDone);
        Assert.Empty(_machine.Changes);
        Assert.Equal("3999001000", _machine.DeviceBinder.AssignmentOf(_first)!.To);
    }

    [Fact]
    public void Binding_to_another_user_changes_the_owner_and_nothing_else()
    {
        _machine.DeviceBinder.Bind(_first, Alice);
        _machine.Changes.Clear();
        BindPlan plan = _machine.DeviceBinder.Bind(_first, Bob);
        Assert.False(plan.IsDone);
        Assert.Equal("3999001000", plan.Members[1].Assignment!.To);
        Assert.Equal("3999001001", _machine.DeviceBinder.AssignmentOf(_first)!.To);
        Assert.All(_machine.Changes, change => Assert.StartsWith("owner of ", change));
    }

    [Fact]
    public void What_a_program_has_open_is_not_assigned_to_another_user()
    {
        _machine.DeviceBinder.Bind(_first, Alice);
        _machine.AddProcess(4711, "dpdk", "vfio/7");
        FunctionAssignment assignment = _machine.DeviceBinder.AssignmentOf(_first)!;
        Assert.Equal([new OpenFileUser(4711, "dpdk", "root")], assignment.OpenBy);
        Assert.Contains("dpdk (4711)", RefusalOf(16, _first, Bob));
    }

    [Theory]
    [InlineData(0x060400, 1, "VFIO does not take")]
    [InlineData(0x060400, 0x81, "VFIO does not take")]
    [InlineData(0x060700, 2, "VFIO does not take")]
    [InlineData(0x060000, 0, "of the machine itself")]
    [InlineData(0x060100, 0x80, "of the machine itself")]
    public void A_bridge_is_refused(uint classCode, byte headerType, string why)
    {
        PciAddress bridge = _machine.AddFunction("0000:00:1f.0", null, group: 9, classCode, headerType);
        Assert.Contains(why, RefusalOf(22, bridge));
    }

    [Theory]
    [InlineData(0x068000)]
    [InlineData(0x060a00)]
    public void A_device_of_the_class_of_bridges_is_bound_like_any(uint classCode)
    {
        PciAddress nvSwitch = _machine.AddFunction("0000:02:00.0", "nvidia-nvswitch", group: 9, classCode);
        Assert.Equal(BindAction.Bind, Assert.Single(_machine.DeviceBinder.Bind(nvSwitch).Members).Action);
        Assert.Equal("vfio-pci", _machine.DriverOf("0000:02:00.0"));
    }

    [Fact]
    public void A_user_without_the_right_is_refused_before_a_release_is_requested()
    {
        _machine.DeviceBinder.Bind(_first);
        _machine.AddProcess(4711, "dpdk", "vfio/7");
        _machine.Changes.Clear();
        _machine.Permission = Errno.AccessDenied;
        Assert.Equal(1, (int)Assert.Throws<VfioException>(() => _machine.DeviceBinder.Unbind(_first, TimeSpan.FromHours(1))).Errno);
        Assert.Empty(_machine.Changes);
    }

    [Fact]
    public void A_bridge_of_the_machine_with_a_driver_keeps_its_group_from_being_bound()
    {
        _machine.AddFunction("0000:00:1f.0", "lpc_ich", group: 7, classCode: 0x060100);
        Assert.Contains("lpc_ich", RefusalOf(16, _first));
    }

    [Fact]
    public void Without_an_IOMMU_nothing_is_taken_from_its_driver()
    {
        PciAddress alone = _machine.AddFunction("0000:02:00.0", "igb", group: null);
        Assert.Contains("no IOMMU", RefusalOf(19, alone));
        Assert.Equal("igb", _machine.DriverOf("0000:02:00.0"));

        _machine.Write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        Assert.Null(_machine.DeviceBinder.Plan(alone).Refusal);
    }

    [Fact]
    public void Without_vfio_pci_nothing_is_taken()
    {
        _machine.RemoveDriver("vfio-pci");
        Assert.Contains("modprobe vfio-pci", RefusalOf(2, _first));
    }

    [Fact]
    public void A_user_without_the_right_is_refused_before_any_change()
    {
        _machine.Permission = Errno.AccessDenied;
        Assert.Contains("only root may", RefusalOf(1, _first));
        Assert.Null(_machine.DeviceBinder.Plan(_first).Obstacle);
        _machine.Permission = (Errno)30;
        RefusalOf(30, _first);
    }

    [Fact]
    public void A_function_that_does_not_answer_is_refused()
    {
        PciAddress silent = _machine.AddFunction("0000:02:00.0", null, group: 9, headerType: 0xff);
        Assert.Contains("all ones", RefusalOf(19, silent));
    }

    [Fact]
    public void A_member_of_the_group_in_use_keeps_all_of_it_from_being_bound()
    {
        string disk = _machine.AddMember("block", Second, "nvme/nvme0/nvme0n1", "259:0");
        _machine.ExclusivelyUsed.Add("259:0");
        string message = RefusalOf(16, _first);
        Assert.Contains(Second, message);
        Assert.Contains(Path.GetFileName(disk), message);
    }

    [Fact]
    public void A_function_that_has_virtual_functions_is_refused()
    {
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_numvfs", "2\n");
        Assert.Contains($"vfio vfs {First} 0", RefusalOf(16, _first));
    }

    [Fact]
    public void A_driver_that_is_not_there_any_more_leaves_the_function_without_one_and_it_is_said()
    {
        _machine.DeviceBinder.Bind(_first);
        _machine.RemoveDriver("e1000e");
        ReleasedFunction released = _machine.DeviceBinder.Unbind(_first)[0];
        Assert.Equal((null, "e1000e"), (released.Driver, released.PreviousDriver));
        Assert.Equal("(null)", _machine.Read($"sys/bus/pci/devices/{First}/driver_override"));
    }

    [Fact]
    public void A_function_gets_back_the_driver_that_it_had_and_not_the_one_that_fits_best()
    {
        PciAddress display = _machine.AddFunction("0000:02:00.0", null, group: 9);
        _machine.AddDriver("nvidia");
        _machine.Write("sys/bus/pci/devices/0000:02:00.0/driver_override", "nvidia\n");
        _machine.WriteAttribute(new PciTopology(_machine.Paths.Sysfs).Find(display), "../../drivers_probe", "0000:02:00.0");
        string before = _machine.Snapshot();
        _machine.DeviceBinder.Bind(display);
        _machine.DeviceBinder.Unbind(display);
        Assert.Equal(before, _machine.Snapshot());
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"Driver\":5}")]
    [InlineData("{\"Driver\":\"../../../x\",\"Override\":null}")]
    [InlineData("{\"Driver\":\"\\u001b[31m\",\"Override\":\"a b\"}")]
    [InlineData("{\"Driver\":null,\"Override\":null,\"Device\":\"1234:11e8\"}")]
    public void A_damaged_record_or_that_of_another_device_is_none_and_the_driver_that_fits_comes(string text)
    {
        _machine.DeviceBinder.Bind(_first);
        foreach (string function in new[] { First, Second })
            _machine.Write($"run/vfio/{function}.json", text);
        Assert.Equal(["e1000e", "snd_hda_intel"], _machine.DeviceBinder.Unbind(_first).Select(member => member.Driver));
        Assert.Empty(Directory.GetFileSystemEntries(_machine.Paths.Records));
    }

    [Fact]
    public void Virtual_functions_that_are_assigned_open_or_in_use_are_not_removed()
    {
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_totalvfs", "8\n");
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_numvfs", "1\n");
        PciAddress made = _machine.AddFunction("0000:01:10.0", "igbvf", group: 8);
        _machine.Link($"sys/bus/pci/devices/{First}/virtfn0", "sys/bus/pci/devices/0000:01:10.0");
        string flags = _machine.AddMember("net", "0000:01:10.0", "net/eth1") + "/flags";
        _machine.Write(flags, "0x1003\n");
        Assert.Contains("eth1 is up", VfRefusal());
        _machine.Write(flags, "0x1002\n");
        _machine.DeviceBinder.Bind(made, Alice);
        Assert.Contains("assigned to 3999001000", VfRefusal());
        _machine.AddProcess(4711, "qemu", "vfio/8");
        Assert.Contains("qemu (4711)", VfRefusal());
        Assert.Equal("1", _machine.Read($"sys/bus/pci/devices/{First}/sriov_numvfs"));

        string VfRefusal()
        {
            VfioException refusal = Assert.Throws<VfioException>(() => _machine.DeviceBinder.SetVirtualFunctions(_first, 0));
            Assert.Equal(16, (int)refusal.Errno);
            return refusal.Message;
        }
    }

    [Fact]
    public void As_many_virtual_functions_as_there_are_is_no_change()
    {
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_totalvfs", "8\n");
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_numvfs", "0\n");
        Assert.Empty(_machine.DeviceBinder.SetVirtualFunctions(_first, 0));
        Assert.Empty(_machine.Changes);
    }

    [Fact]
    public void A_refused_number_of_virtual_functions_leaves_as_many_as_before()
    {
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_totalvfs", "8\n");
        _machine.Write($"sys/bus/pci/devices/{First}/sriov_numvfs", "2\n");
        _machine.RefusedChange = 1;
        Assert.Throws<VfioException>(() => _machine.DeviceBinder.SetVirtualFunctions(_first, 4));
        Assert.Equal("2", _machine.Read($"sys/bus/pci/devices/{First}/sriov_numvfs"));
    }

    /// <summary>Without the numbers that a function's own file gets anew each time.</summary>
    private static string Normalize(string snapshot) => System.Text.RegularExpressions.Regex.Replace(snapshot, @"vfio1\d\d|511:1\d\d", "N");

    /// <summary>Asserts that the plan says what binding throws, and that binding changes nothing.</summary>
    private string RefusalOf(int errno, PciAddress address, UserAccount? user = null)
    {
        string before = _machine.Snapshot();
        VfioException planned = _machine.DeviceBinder.Plan(address, user).Refusal!, thrown = Assert.Throws<VfioException>(() => _machine.DeviceBinder.Bind(address, user));
        Assert.Equal((errno, planned.Message), ((int)thrown.Errno, thrown.Message));
        Assert.Equal(before, _machine.Snapshot());
        return thrown.Message;
    }
}
