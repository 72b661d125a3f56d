using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Tracing;

namespace Vfio.Tests.Guests;

/// <summary>What a virtual machine does with a device is recorded, and another boot of it is answered without the device.</summary>
public sealed class TracedGuestTests : IDisposable
{
    // QEMU's docs/specs/edu.rst.
    private const ulong Liveness = 0x04;
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"vfio-guest-{Guid.NewGuid():n}");

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void A_boot_is_recorded_and_the_next_one_is_answered_by_the_recording()
    {
        GuestParts.Need();
        using (GuardedFunction edu = new(new EduFunction()))
        using (DeviceTrace trace = DeviceTrace.ToFile(_file, new TraceOptions { MaxDataBytes = 1 << 20 }))
            Boot(() => new TracedDevice(edu.Open(), trace));

        using (TraceReader reader = TraceReader.Open(_file))
        {
            TraceEvent[] events = [.. reader.ReadAll()];
            Assert.Contains(events, one => one.Kind == TraceEventKind.Map && one.Value >= 64 << 20);
            Assert.Contains(events, one => one.Kind == TraceEventKind.Write && one.Region == RegionIndex.Config && one.Place == 4);
            Assert.Contains(events, one => one is { Kind: TraceEventKind.Read, Number: 0, Place: 0, Value: EduInGuest.Identification });
            Assert.Contains(events, one => one is { Kind: TraceEventKind.Write, Number: 0, Place: Liveness, Value: 0x12345678 });
        }

        ReplayedDevice? last = null;
        Boot(() => last = ReplayedDevice.Open(_file, ReplayMode.Register));
        Assert.Null(last!.Difference);
    }

    /// <summary>Boots a guest, and drives edu from inside.</summary>
    private static void Boot(Func<IVfioDevice> open)
    {
        using ServerProcess words = new();
        using LocalServer server = new(open);
        string path = server.Address["unix:".Length..];
        using GuestMachine machine = new($"{words.QemuMemory} {words.QemuDeviceAt(path)}", "-machine", "q35");
        string function = machine.Agent.Do("cd /sys/bus/pci/devices; for f in *; do if grep -q 0x11e8 $f/device; then echo $f; fi; done");
        machine.Agent.Do($"echo 1 > /sys/bus/pci/devices/{function}/enable");
        Assert.Equal(EduInGuest.Identification, machine.Agent.Number($"read {function} 0 0 4"));
        machine.Agent.Do($"write {function} 0 {Liveness} 4 {0x12345678}");
        Assert.Equal(~0x12345678u, (uint)machine.Agent.Number($"read {function} 0 {Liveness} 4"));
        Assert.Equal(0, machine.PowerOff());
    }
}
