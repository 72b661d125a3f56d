using System.Buffers.Binary;
using Vfio.Abstractions;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Testing;

namespace Vfio.Tests.Open;

/// <summary>Optional features are the same whatever stands before the device, and work.</summary>
public sealed class OptionalFeatureTests
{
    // Where a device comes from, with the model's name to be filled in.
    public static TheoryData<string> Places => ["model", "guard", "wrapper", "socket", "socket of a wrapper", "socket of a socket"];

    [Theory]
    [MemberData(nameof(Places))]
    public void A_device_that_can_be_migrated_says_so_wherever_it_is(string place)
    {
        using Opened opened = new(place, "edu");
        Assert.True(opened.Device.TryGet(out IMigratableDevice? migratable));
        Assert.Equal(MigrationFeatures.StopCopy | MigrationFeatures.PreCopy, migratable.Migration);
        Assert.Equal(MigrationState.Running, migratable.MigrationState);
        Assert.True(opened.Device.TryGet(out IDirtyTracker? tracker));
        Assert.Equal(4096ul, tracker.StartDirtyTracking(4096, []));
        tracker.StopDirtyTracking();

        // A handover is between processes of a server; a client of one has its connection handed over.
        Assert.Equal(!place.StartsWith("socket", StringComparison.Ordinal), opened.Device.TryGet(out IHandoverDevice? _));
        Assert.False(opened.Device.TryGet(out IComparable? none));
        Assert.Null(none);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_device_that_cannot_be_migrated_has_no_such_feature_wherever_it_is(string place)
    {
        using Opened opened = new(place, "nvme");
        Assert.False(opened.Device.TryGet(out IMigratableDevice? migratable));
        Assert.Null(migratable);
        Assert.False(opened.Device.TryGet(out IHandoverDevice? _));
        Assert.True(opened.Device.TryGet(out IDirtyTracker? _));
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => DeviceState.Save(opened.Device)).Errno);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_state_that_is_saved_at_one_place_goes_on_at_another(string place)
    {
        using Opened source = new(place, "edu");
        using IVfioDevice target = VfioDevice.Open("model:edu");
        source.Device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        source.Device.WriteRegion(RegionIndex.Bar0, 0x04, [4, 3, 2, 1]); // liveness: reads as its complement

        DeviceState.Restore(target, DeviceState.Save(source.Device));
        target.Get<IMigratableDevice>().SetMigrationState(MigrationState.Running);

        byte[] answer = new byte[4];
        target.ReadRegion(RegionIndex.Bar0, 0x04, answer);
        Assert.Equal(~0x01020304u, BinaryPrimitives.ReadUInt32LittleEndian(answer));
        using EduDriver driver = new(target);
        Assert.Equal(120u, driver.Factorial(5));
    }

    [Fact]
    public void What_a_device_of_an_address_wrote_is_tracked()
    {
        IVfioDevice device = VfioDevice.Open("model:edu");
        using EduDriver driver = new(device);
        using DmaBuffer buffer = driver.Device.AllocateDma(0x4000);
        IDirtyTracker tracker = device.Get<IDirtyTracker>();
        tracker.StartDirtyTracking(4096, []);

        driver.CopyToDevice(buffer, 0, 4096);
        driver.CopyFromDevice(buffer, 0x2000, 4096);

        byte[] bitmap = new byte[8];
        tracker.ReportDirtyPages(buffer.Start, 0x4000, 4096, bitmap);
        Assert.Equal(0b0100, bitmap[0]);
    }

    [Fact]
    public void A_device_of_an_address_can_be_handed_over()
    {
        using IVfioDevice from = VfioDevice.Open("model:edu");
        using IVfioDevice to = VfioDevice.Open("model:edu");
        from.WriteRegion(RegionIndex.Config, 4, [2, 0]);
        from.WriteRegion(RegionIndex.Bar0, 0x04, [4, 3, 2, 1]);

        to.Get<IHandoverDevice>().TakeOver(from.Get<IHandoverDevice>().Suspend());
        to.Get<IHandoverDevice>().Resume();
        from.Get<IHandoverDevice>().Depart();

        byte[] answer = new byte[4];
        to.ReadRegion(RegionIndex.Bar0, 0x04, answer);
        Assert.Equal(~0x01020304u, BinaryPrimitives.ReadUInt32LittleEndian(answer));
    }

    /// <summary>A device of a place, and what it needs.</summary>
    private sealed class Opened : IDisposable
    {
        private readonly Stack<IDisposable> _owned = [];

        internal Opened(string place, string model)
        {
            Device = place switch
            {
                "model" => VfioDevice.Open($"model:{model}"),
                "guard" => Own(DeviceSource.Find($"model:{model}")).Open(),
                "wrapper" => new FaultyDevice(VfioDevice.Open($"model:{model}")),
                "socket" => Serve(Own(DeviceSource.Find($"model:{model}")).Open),
                "socket of a wrapper" => Serve(() => VfioDevice.Open($"model:{model}")),
                _ => Serve(() => Serve(() => VfioDevice.Open($"model:{model}"))),
            };
            Own(Device);
        }

        internal IVfioDevice Device { get; }

        public void Dispose()
        {
            foreach (IDisposable owned in _owned)
                owned.Dispose();
        }

        private IVfioDevice Serve(Func<IVfioDevice> open) => VfioDevice.Open(Own(new LocalServer(open)).Address);

        private T Own<T>(T made)
            where T : IDisposable
        {
            _owned.Push(made);
            return made;
        }
    }
}
