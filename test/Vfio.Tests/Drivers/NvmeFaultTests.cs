using Microsoft.Extensions.Logging;
using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Drivers.Nvme;
using Vfio.Guard;
using Vfio.Testing;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>What becomes of the NVMe driver when its controller breaks: one error with its errno, and no wait without an end.</summary>
public sealed class NvmeFaultTests : IDisposable
{
    private const ulong CapabilitiesLow = 0x00, Configuration = 0x14, Status = 0x1c, Doorbells = 0x1000, FirstIoDoorbell = 0x1008;
    private static readonly NvmeOptions Hasty = new() { CommandTimeout = TimeSpan.FromSeconds(4) };
    private readonly GuardedFunction _nvme = new(NvmeFunction.InMemory(1 << 20));
    private readonly FaultyDevice _device;

    public static TheoryData<bool, TimeSpan> LongTimeouts => new()
    {
        { false, Timeout.InfiniteTimeSpan },
        { true, Timeout.InfiniteTimeSpan },
        { false, TimeSpan.MaxValue },
        { true, TimeSpan.MaxValue },
    };

    public NvmeFaultTests() => _device = new FaultyDevice(_nvme.Open());

    [Fact]
    public void Another_device_is_ENODEV()
    {
        using GuardedFunction edu = new(new EduFunction());
        VfioException refusal = Assert.Throws<VfioException>(() => new NvmeController(edu.Open()));
        Assert.Equal(Errno.NoDevice, refusal.Errno);
        Assert.Contains("00ff00", refusal.Message);
    }

    [Fact]
    public void A_controller_that_is_gone_when_it_is_opened_is_ENODEV()
    {
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, CapabilitiesLow, 0xffff_ffff));
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, CapabilitiesLow + 4, 0xffff_ffff));
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => new NvmeController(_device)).Errno);
    }

    [Fact]
    public void A_controller_without_the_NVM_command_set_or_pages_of_4_KiB_is_ENOTSUP()
    {
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, CapabilitiesLow + 4, 0x0000_0000));
        Assert.Equal(Errno.NotSupported, Assert.Throws<VfioException>(() => new NvmeController(_device)).Errno);
        using GuardedFunction other = new(NvmeFunction.InMemory(512));
        FaultyDevice device = new(other.Open());
        device.Add(Fault.ReadsAs(RegionIndex.Bar0, CapabilitiesLow + 4, 0x0001_0020));
        VfioException refusal = Assert.Throws<VfioException>(() => new NvmeController(device));
        Assert.Equal(Errno.NotSupported, refusal.Errno);
        Assert.Contains("8192", refusal.Message);
    }

    [Fact]
    public void A_controller_that_never_gets_ready_is_ETIMEDOUT_after_its_own_time()
    {
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, CapabilitiesLow, 0x0101_03ff)); // TO 1: 500 ms
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, 0, Configuration));
        VfioException refusal = Assert.Throws<VfioException>(() => new NvmeController(_device));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
        Assert.Contains("0.5 s", refusal.Message);
    }

    [Fact]
    public void A_controller_that_fails_while_it_starts_is_EIO()
    {
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, Status, 0x2));
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => new NvmeController(_device)).Errno);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_controller_that_vanishes_is_ENODEV_for_all_that_follows(bool interrupts)
    {
        using NvmeController controller = new(_device);
        using NvmeBlockDevice disk = OpenDisk(controller, interrupts);
        disk.Read(0, new byte[512]);
        _device.Unplug();

        VfioException refusal = Assert.Throws<VfioException>(() => disk.Read(0, new byte[8192]));
        Assert.Equal(Errno.NoDevice, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => disk.Write(0, new byte[512])).Errno);
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(disk.Flush).Errno);
    }

    [Fact]
    public async Task A_controller_that_vanishes_ends_asynchronous_calls()
    {
        using NvmeController controller = new(_device);
        using NvmeBlockDevice disk = OpenDisk(controller, interrupts: true);
        _device.Unplug();

        VfioException[] refusals = await Task.WhenAll(Enumerable.Range(0, 8).Select(i =>
            Assert.ThrowsAsync<VfioException>(() => disk.ReadAsync(i * 512, new byte[8192]).AsTask())));
        Assert.All(refusals, refusal => Assert.Equal(Errno.NoDevice, refusal.Errno));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_controller_that_fails_is_EIO_and_logged_once(bool interrupts)
    {
        RecordingLogger log = new(LogLevel.Warning);
        using NvmeController controller = new(_device, new NvmeOptions { Logger = log });
        using NvmeBlockDevice disk = OpenDisk(controller, interrupts);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, Doorbells, ulong.MaxValue));
        _device.Add(Fault.ReadsAs(RegionIndex.Bar0, Status, 0x3));

        VfioException refusal = Assert.Throws<VfioException>(() => disk.Read(0, new byte[512]));
        Assert.Equal(Errno.InputOutput, refusal.Errno);
        Assert.Contains("CSTS.CFS", refusal.Message);
        Assert.Throws<VfioException>(() => disk.Read(0, new byte[512]));
        (LogLevel level, string text) = Assert.Single(log.Entries);
        Assert.Equal(LogLevel.Error, level);
        Assert.Contains("CSTS.CFS", text);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_command_that_is_never_completed_is_ETIMEDOUT(bool interrupts)
    {
        using NvmeController controller = new(_device, Hasty);
        using NvmeBlockDevice disk = OpenDisk(controller, interrupts);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, FirstIoDoorbell, ulong.MaxValue));
        Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(() => disk.Read(0, new byte[512])).Errno);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_queue_pair_does_not_wait_for_ever_either(bool interrupts)
    {
        using NvmeController controller = new(_device, Hasty);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 4, interrupts);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, FirstIoDoorbell, ulong.MaxValue));
        Assert.True(queue.TryFlush(controller.FindNamespace(1), 0));
        queue.RingDoorbell();
        Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(() => queue.Wait(new NvmeCompleted[1])).Errno);
    }

    [Theory]
    [MemberData(nameof(LongTimeouts))]
    public async Task Without_a_timeout_a_queue_pair_waits_for_as_long_as_the_controller_lives(bool interrupts, TimeSpan timeout)
    {
        using NvmeController controller = new(_device, new NvmeOptions { CommandTimeout = timeout });
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 4, interrupts);
        NvmeNamespace disk = controller.FindNamespace(1);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, FirstIoDoorbell, ulong.MaxValue));
        SemaphoreSlim isChecked = CountChecks();
        Assert.True(queue.TryFlush(disk, 7));
        queue.RingDoorbell();

        NvmeCompleted[] completed = new NvmeCompleted[1];
        Task<int> waiting = Task.Factory.StartNew(() => queue.Wait(completed), TaskCreationOptions.LongRunning);
        await SeeChecks(isChecked, waiting);

        // The doorbell that was lost: one command is in submission queue 1.
        _device.Clear();
        _device.WriteRegion(RegionIndex.Bar(0), FirstIoDoorbell, [1, 0, 0, 0]);
        Assert.Equal(1, await waiting.WaitAsync(HangGuard.Timeout));
        Assert.Equal(7ul, completed[0].Tag);
    }

    [Theory]
    [MemberData(nameof(LongTimeouts))]
    public async Task Without_a_timeout_a_disk_waits_for_as_long_as_the_controller_lives(bool interrupts, TimeSpan timeout)
    {
        using NvmeController controller = new(_device, new NvmeOptions { CommandTimeout = timeout });
        using NvmeBlockDevice disk = OpenDisk(controller, interrupts);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, FirstIoDoorbell, ulong.MaxValue));
        SemaphoreSlim isChecked = CountChecks();
        Task reading = Task.Factory.StartNew(() => disk.Read(0, new byte[512]), TaskCreationOptions.LongRunning);
        await SeeChecks(isChecked, reading);

        _device.Unplug();
        VfioException refusal = await Assert.ThrowsAsync<VfioException>(() => reading.WaitAsync(HangGuard.Timeout));
        Assert.Equal(Errno.NoDevice, refusal.Errno);
    }

    [Fact]
    public void A_completion_of_what_is_not_in_flight_is_EPROTO()
    {
        using NvmeController controller = new(_device);
        List<DmaMapping> mappings = [];
        _device.Mapped += mappings.Add;
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 4);
        DmaMapping completions = mappings[1];

        // Command 3 was never submitted; the phase of the first round is 1.
        completions.Memory.Write(12, [3, 0, 1, 0]);
        VfioException refusal = Assert.Throws<VfioException>(() => queue.Poll(new NvmeCompleted[1]));
        Assert.Equal(Errno.Protocol, refusal.Errno);
    }

    [Fact]
    public void Calls_under_way_end_when_their_disk_is_disposed()
    {
        using NvmeController controller = new(_device);
        NvmeBlockDevice disk = OpenDisk(controller, interrupts: true);
        _device.Add(Fault.LosesWrites(RegionIndex.Bar0, FirstIoDoorbell, ulong.MaxValue));
        Task reading = disk.ReadAsync(0, new byte[512], TestContext.Current.CancellationToken).AsTask();
        disk.Dispose();
        Assert.Throws<ObjectDisposedException>(() => reading.GetAwaiter().GetResult());
        Assert.Throws<ObjectDisposedException>(() => disk.Read(0, new byte[512]));
    }

    public void Dispose()
    {
        _device.Dispose();
        _nvme.Dispose();
    }

    /// <summary>Counts how often the driver asks the controller whether it lives.</summary>
    private SemaphoreSlim CountChecks()
    {
        SemaphoreSlim isChecked = new(0);
        _device.Accessed += access =>
        {
            if (access == new DeviceAccess(false, RegionIndex.Bar0, Status, 4))
                isChecked.Release();
        };
        return isChecked;
    }

    /// <summary>Returns when two checks were made, after which a wait that should continue has not ended.</summary>
    private static async Task SeeChecks(SemaphoreSlim isChecked, Task waiting)
    {
        for (int i = 0; i < 2; i++)
            await Task.WhenAny(isChecked.WaitAsync(), waiting).WaitAsync(HangGuard.Timeout);
        Assert.False(waiting.IsCompleted, $"{waiting.Exception?.InnerException?.Message}");
    }

    private static NvmeBlockDevice OpenDisk(NvmeController controller, bool interrupts) =>
        controller.FindNamespace(1).Open(new NvmeBlockDeviceOptions { Interrupts = interrupts, Depth = 4, CommandBytes = 4096 });
}
