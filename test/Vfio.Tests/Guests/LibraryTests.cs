using System.Text.Json;
using Vfio.Pci;
using Vfio.Tests.Guard;
using Vfio.Tests.Guests.Inside;

namespace Vfio.Tests.Guests;

/// <summary>Runs the tests of the library that need Linux's VFIO inside a guest, as an ordinary user that functions were assigned to.</summary>
public sealed class LibraryTests
{
    private const string Nobody = VfioInGuest.Nobody;

    [Fact]
    public void The_library_does_on_assigned_functions_what_it_says()
    {
        GuestParts.Need();
        byte[] config = HardwareShape.Ohci();
        HardwareShape.Put(config, 0x3c, 0);
        RecordingDevice hardware = new(config, new byte[256], HardwareShape.BarBytes) { IsStrict = false, KeepsConfigOverReset = true };
        using AssignedDevice served = AssignedDevice.Of(hardware);
        var socket = new { path = served.SocketPath, type = "unix" };
        using GuestMachine machine = new(
            "-object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem -device pcie-root-port,id=slot4,chassis=4 "
                + $"-device '{JsonSerializer.Serialize(new { driver = "vfio-user-pci", bus = "slot4", socket })}'",
            ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
                "-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2",
                "-device", "pcie-root-port,id=slot3,chassis=3", "-device", "edu,bus=slot1", "-device", "edu,bus=slot2",
                "-drive", "driver=null-co,size=1M,if=none,id=disk", "-device", "nvme,drive=disk,serial=1,bus=slot3",
                .. SlotInGuest.OwnHotplug, .. GuestMachine.HostFiles]);

        // Assigned to root alone at first.
        machine.Agent.Do(VfioInGuest.Command($"bind {AssignedFunctionTests.First}"));
        (int status, string output) = machine.Agent.Ask(VfioInGuest.Command($"peek {AssignedFunctionTests.First} bar0 0", Nobody));
        Assert.Equal(1, status);
        Assert.Matches($@"^vfio: opening /dev/vfio/\d+: Permission denied; .*run 'vfio bind {AssignedFunctionTests.First} --user NAME'.* \(errno 13\)$", Assert.Single(output.Split('\n')));

        foreach (string function in new[]
        {
            AssignedFunctionTests.First, AssignedFunctionTests.Second, AssignedFunctionTests.Disk, GuardedAssignedTests.Served,
        })
        {
            machine.Agent.Do(VfioInGuest.Command($"bind {function} --user nobody"));
        }

        machine.Agent.Do("chmod 666 /dev/iommu; echo 8 > /proc/sys/vm/nr_hugepages");
        string power = $"/sys/bus/pci/devices/{AssignedFunctionTests.Disk}/power/control";
        machine.Agent.Do($"(while true; do echo on > {power}; echo auto > {power}; usleep 300000; done) >/dev/null 2>&1 &");
        machine.Agent.Do(Assign(MediatedSerialTests.First, "mtty-1"));
        machine.Agent.Do(Assign(MediatedSerialTests.Second, "mtty-1"));
        machine.Agent.Do(Assign(MediatedSerialTests.TwoPorts, "mtty-2"));
        string lockTaker = $"/sys/bus/pci/devices/{AssignedFunctionTests.Second}/power/control";
        machine.Agent.Do($"(while true; do echo on > {lockTaker}; echo auto > {lockTaker}; done) >/dev/null 2>&1 &");

        // One process for these: an emulated processor takes seconds to start one.
        AssertPasses(
            machine.Agent, Nobody, 8 + 15 + 21 + 10,
            typeof(DirtyPageTests), typeof(MediatedSerialTests), typeof(AssignedFunctionTests), typeof(GuardedAssignedTests));
        AssertPasses(machine.Agent, $"{Nobody} /usr/bin/prlimit --memlock=65536", 2, typeof(MemoryLimitTests));
        AssertOwnersRegistersStay(hardware);
        Assert.Contains("DMAR: [DMA Read", machine.Agent.Do("dmesg | grep DMAR"));

        foreach (string function in new[] { AssignedFunctionTests.First, AssignedFunctionTests.Second })
        {
            string wish = RemovedFunctionTests.WishFor(function);
            machine.Agent.Do($"(while ! test -e {wish}; do usleep 50000; done; {SlotInGuest.TearOut(function)}) >/dev/null 2>&1 &");
        }

        AssertPasses(machine.Agent, Nobody, 2, typeof(RemovedFunctionTests));
        foreach (string function in new[] { AssignedFunctionTests.First, AssignedFunctionTests.Second })
            machine.Agent.WaitFor($"test ! -e /sys/bus/pci/devices/{function}");
        Assert.DoesNotContain("Call Trace", machine.Agent.Do("dmesg"));
    }

    /// <summary>The function outside saw the write that was made without the guard, and after it none that changes what is in no
    /// capability.</summary>
    private static void AssertOwnersRegistersStay(RecordingDevice hardware)
    {
        const int Register = (int)GuardedAssignedTests.Register, End = 0x4c;
        (bool IsWrite, int Offset, int Width, uint Value) unguarded = (true, Register, 4, GuardedAssignedTests.Unguarded);
        Assert.Contains(unguarded, hardware.Log);

        // The guest's own system wrote before, when it found the function.
        (bool, int, int, uint)[] writes =
        [
            .. hardware.Log.SkipWhile(entry => entry != unguarded)
                .Where(entry => entry is { IsWrite: true, Offset: >= Register and < Register + 4 or >= End }),
        ];
        Assert.Equal([unguarded], writes);
        Assert.Equal(GuardedAssignedTests.Unguarded, new ConfigSpace(hardware.Config).Read32(Register));
        Assert.Equal(new byte[256 - End], hardware.Config[End..]);
        Assert.Contains(hardware.Log, entry => entry is { IsWrite: true, Offset: 0x0c or 0x0d or 0x0f });
    }

    /// <summary>Makes a mediated device, and gives it to nobody.</summary>
    private static string Assign(Guid device, string type) =>
        $"exec 2>&1; echo {device} > /sys/class/mdev_bus/mtty/mdev_supported_types/{type}/create && cd /sys/bus/mdev/devices/{device} "
        + "&& chown 65534 /dev/vfio/$(basename $(readlink iommu_group)) /dev/vfio/devices/$(ls vfio-dev)";

    internal static void AssertPasses(GuestAgent agent, string user, int count, params Type[] tests)
    {
        (int status, string output) = agent.Ask(VfioInGuest.Tests(user, tests));
        Assert.True(status == 0 && output.EndsWith(InsideRunner.Summary(count, failed: 0, skipped: 0), StringComparison.Ordinal), output);
    }
}
