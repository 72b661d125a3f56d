using System.Buffers.Binary;
using System.Text;
using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Drivers.Edu;
using Vfio.Drivers.Nvme;
using Vfio.Guard;
using Vfio.Tracing;
using static Vfio.Tests.Tracing.Bar0;

namespace Vfio.Tests.Tracing;

/// <summary>A recorded device answers its driver as it did, and says where another driver leaves the recording.</summary>
public sealed class ReplayTests : IDisposable
{
    // QEMU's docs/specs/edu.rst.
    private const ulong Liveness = 0x04, Status = 0x20, Raise = 0x60;
    private static readonly TraceOptions Recording = new() { SeesDma = true, MaxDataBytes = 1 << 20 };
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"vfio-replay-{Guid.NewGuid():n}");

    public static TheoryData<ReplayMode> Modes => [ReplayMode.Strict, ReplayMode.Register, ReplayMode.Loose];

    public void Dispose() => File.Delete(_file);

    [Theory]
    [MemberData(nameof(Modes))]
    public void The_driver_of_edu_gets_the_same_without_the_device(ReplayMode mode)
    {
        byte[] recorded = DriveEdu(Record(new EduFunction()));
        using ReplayedDevice device = ReplayedDevice.Open(_file, mode);
        Assert.Equal(recorded, DriveEdu(device));
        Assert.Null(device.Difference);
        Assert.Equal(0, device.Left);
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void The_driver_of_nvme_finds_the_disk_without_the_disk(ReplayMode mode)
    {
        byte[] recorded = DriveNvme(Record(NvmeFunction.InMemory(1 << 20)));
        using ReplayedDevice device = ReplayedDevice.Open(_file, mode);
        Assert.Equal(recorded, DriveNvme(device));
        Assert.Null(device.Difference);
    }

    [Fact]
    public void What_the_device_refused_is_refused_again()
    {
        byte[] four = new byte[4];
        using (DeviceTrace trace = DeviceTrace.ToFile(_file, Recording))
        using (GuardedFunction edu = new(new EduFunction()))
        using (TracedDevice device = new(edu.Open(), trace))
            Drive(device);
        using ReplayedDevice replayed = ReplayedDevice.Open(_file);
        Drive(replayed);

        void Drive(IVfioDevice device)
        {
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.ReadRegion(RegionIndex.Bar0, 0x100000, four)).Errno);
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.WriteRegion(RegionIndex.Bar0, 0x100000, four)).Errno);
            Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => device.UnmapDma(new Iova(0x10000), 0x1000)).Errno);
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.ReadRegions(
                [new(RegionIndex.Bar0, Liveness, 4), new(RegionIndex.Bar0, 0x100000, 4)], new ulong[2])).Errno);
            DmaMapping mapping = new(new Iova(0x10000), 0x1000, DmaAccess.ReadWrite, new TraceMemory(), 0);
            device.MapDma(mapping);
            Assert.Equal(Errno.Exists, Assert.Throws<VfioException>(() => device.MapDma(mapping)).Errno);
            Assert.Equal(0x1000ul, device.UnmapDma(new Iova(0x10000), 0x1000));
            Assert.True(mapping.Memory.HasOneReference);
        }
    }

    [Fact]
    public void Who_only_looks_at_config_space_takes_no_session_from_a_driver()
    {
        using (DeviceTrace trace = DeviceTrace.ToFile(_file, Recording))
        using (GuardedFunction edu = new(new EduFunction()))
        {
            using (TracedDevice device = new(edu.Open(), trace))
                Look(device);
            using (TracedDevice device = new(edu.Open(), trace))
                Drive(device);
        }

        using (ReplayedDevice device = ReplayedDevice.Open(_file))
            Drive(device);
        using DeviceSource source = DeviceSource.Find($"model:replay?from={_file}");
        for (int i = 0; i < 2; i++)
        {
            using (IVfioDevice device = source.Open())
                Assert.Equal(new byte[] { 0x34, 0x12, 0xe8, 0x11 }, Look(device)[..4]); // QEMU's docs/specs/edu.rst: 1234:11e8
        }

        using (IVfioDevice device = source.Open())
            Drive(device);

        static byte[] Look(IVfioDevice device)
        {
            byte[] config = new byte[Math.Min(4096, device.GetRegion(RegionIndex.Config).Length)];
            device.ReadRegion(RegionIndex.Config, 0, config);
            return config;
        }

        static void Drive(IVfioDevice device)
        {
            Command(device);
            Assert.Equal(0x010000edu, Read(device, 0));
        }
    }

    [Fact]
    public void Another_driver_is_told_the_register_what_was_recorded_and_where()
    {
        RecordAccesses(device =>
        {
            Write(device, Liveness, 1);
            Read(device, Liveness);
            Write(device, Raise, 1);
        });
        using ReplayedDevice replayed = ReplayedDevice.Open(_file);
        Command(replayed);
        Write(replayed, Liveness, 1);
        VfioException refusal = Assert.Throws<VfioException>(() => Write(replayed, Status, 0x80));
        Assert.Equal(Errno.Protocol, refusal.Errno);
        string difference = Assert.IsType<string>(replayed.Difference);
        Assert.Contains("writes 0x00000080 to bar0 0x0020 Status", difference);
        Assert.Matches("the recording has, at event [0-9]+, read bar0 0x0004 Liveness = 0xfffffffe", difference);
        Assert.Contains("before it: ", difference);
        Assert.Contains("write bar0 0x0004 Liveness = 0x00000001;", difference);
        Assert.Contains("after it: write bar0 0x0060 InterruptRaise = 0x00000001", difference);

        // The driver may go on where it left.
        Assert.Equal(0xfffffffeu, Read(replayed, Liveness));
    }

    [Fact]
    public void Strictly_another_value_differs()
    {
        RecordAccesses(device => Write(device, Liveness, 1));
        using ReplayedDevice replayed = ReplayedDevice.Open(_file);
        Command(replayed);
        Assert.Throws<VfioException>(() => Write(replayed, Liveness, 2));
        Assert.Equal(1, replayed.Left);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(10)]
    public void Loosely_a_loop_may_take_more_or_fewer_turns(int turns)
    {
        RecordAccesses(device =>
        {
            Write(device, Liveness, 1);
            for (int i = 0; i < 3; i++)
                Read(device, Liveness);
            Write(device, Liveness, 7);
            Read(device, Liveness);
        });
        using ReplayedDevice replayed = ReplayedDevice.Open(_file, ReplayMode.Loose);
        Command(replayed);
        Write(replayed, Liveness, 1);
        for (int i = 0; i < turns; i++)
            Assert.Equal(~1u, Read(replayed, Liveness));
        Write(replayed, Liveness, 7);
        Assert.Equal(~7u, Read(replayed, Liveness));
        Assert.Throws<VfioException>(() => Read(replayed, Status));
    }

    [Fact]
    public void By_register_the_order_of_registers_is_free()
    {
        RecordAccesses(device =>
        {
            Write(device, Liveness, 1);
            Read(device, Liveness);
            Write(device, Liveness, 2);
            Read(device, Liveness);
            Read(device, 0);
        });
        using ReplayedDevice replayed = ReplayedDevice.Open(_file, ReplayMode.Register);
        Assert.Equal(0x010000edu, Read(replayed, 0));
        Write(replayed, Liveness, 1);
        Write(replayed, Liveness, 2);
        Assert.Equal([~1u, ~2u, ~2u], Enumerable.Range(0, 3).Select(_ => Read(replayed, Liveness)));
        Assert.Contains("other values", Assert.Throws<VfioException>(() =>
        {
            using ReplayedDevice again = ReplayedDevice.Open(_file, ReplayMode.Register);
            Write(again, Liveness, 2);
        }).Message);
        Assert.Throws<VfioException>(() => Write(replayed, Liveness, 3));
    }

    [Fact]
    public void A_recording_without_the_bytes_of_memory_says_so_where_they_are_needed()
    {
        DriveEdu(Record(new EduFunction(), Recording with { RedactsDma = true }));
        using ReplayedDevice device = ReplayedDevice.Open(_file);
        VfioException refusal = Assert.Throws<VfioException>(() => DriveEdu(device));
        Assert.Contains("--redact-dma", refusal.Message);
    }

    [Fact]
    public void A_recording_is_opened_by_its_address_session_by_session()
    {
        using (DeviceTrace trace = DeviceTrace.ToFile(_file, Recording))
        using (GuardedFunction edu = new(new EduFunction()))
        {
            for (uint session = 1; session <= 2; session++)
            {
                using TracedDevice device = new(edu.Open(), trace);
                Command(device);
                Write(device, Liveness, session);
                Read(device, Liveness);
            }
        }

        using DeviceSource source = DeviceSource.Find($"model:replay?from={_file}&mode=strict");
        for (uint session = 1; session <= 2; session++)
        {
            using IVfioDevice device = source.Open();
            Command(device);
            Write(device, Liveness, session);
            Assert.Equal(~session, Read(device, Liveness));
        }

        using IVfioDevice second = VfioDevice.Open($"model:replay?from={_file}&session=2");
        Command(second);
        Write(second, Liveness, 2);
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => VfioDevice.Open($"model:replay?from={_file}&session=3")).Errno);
    }

    [Theory]
    [InlineData("model:replay")]
    [InlineData("model:replay?from=/nowhere")]
    [InlineData("model:replay?from=/etc/passwd")]
    [InlineData("model:replay?from=/etc/passwd&mode=quick")]
    [InlineData("model:replay?from=/etc/passwd&colour=red")]
    public void What_is_no_recording_is_refused(string address) =>
        Assert.NotEqual(Errno.None, Assert.Throws<VfioException>(() => VfioDevice.Open(address)).Errno);

    private TracedDevice Record(EmulatedFunction function, TraceOptions? options = null)
    {
        DeviceTrace trace = DeviceTrace.ToFile(_file, options ?? Recording);
        GuardedFunction guard = new(function);
        return new TracedDevice(new OwnedDevice(guard.Open(), guard, trace), trace);
    }

    private void RecordAccesses(Action<IVfioDevice> drive)
    {
        using DeviceTrace trace = DeviceTrace.ToFile(_file, Recording);
        using GuardedFunction edu = new(new EduFunction());
        using TracedDevice device = new(edu.Open(), trace);
        Command(device);
        drive(device);
    }

    private static byte[] DriveEdu(IVfioDevice device)
    {
        using EduDriver edu = new(device);
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        memory.Write(0, [.. Enumerable.Range(1, 100).Select(i => (byte)i)]);
        uint factorial = edu.Factorial(5);
        edu.CopyToDevice(memory, 0, 100);
        edu.CopyFromDevice(memory, 200, 100);
        byte[] result = new byte[104];
        memory.Read(200, result.AsSpan(0, 100));
        BinaryPrimitives.WriteUInt32LittleEndian(result.AsSpan(100), factorial + edu.RaiseInterrupt(4));
        return result;
    }

    private static byte[] DriveNvme(IVfioDevice device)
    {
        using NvmeController controller = new(device);
        NvmeNamespace disk = Assert.Single(controller.Namespaces);
        byte[] health = new byte[512];
        controller.ReadLogPage(2, health);
        return [.. Encoding.ASCII.GetBytes(controller.Info.ModelNumber), .. BitConverter.GetBytes(disk.Length), .. health];
    }

    private static void Command(IVfioDevice device) => device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
}
