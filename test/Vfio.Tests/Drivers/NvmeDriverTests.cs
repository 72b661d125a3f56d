using System.Security.Cryptography;
using Vfio.Drivers.Nvme;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>The NVMe driver, the same on every producer of devices; a class for each derives from this.</summary>
/// <remarks>The disk is new for each test: 8 MiB of zeros in blocks of 512 bytes.</remarks>
public abstract class NvmeDriverTests
{
    protected const int DiskBytes = 8 << 20;

    protected abstract IVfioDevice Open();

    [Fact]
    public void The_controller_says_what_it_is_and_what_it_holds()
    {
        using NvmeController controller = new(Open());

        Assert.Equal(0x5646, controller.Info.VendorId);
        Assert.Equal("Vfio software NVMe disk", controller.Info.ModelNumber);
        Assert.Matches("^VFIO[0-9A-F]{16}$", controller.Info.SerialNumber);
        Assert.Equal("2.0.0", controller.Info.Version.ToString());
        Assert.Equal(1024, controller.Capabilities.MaxQueueEntries);
        Assert.Equal(1 << 20, controller.Info.MaxTransferBytes);
        NvmeNamespace disk = Assert.Single(controller.Namespaces);
        Assert.Equal(1u, disk.Id);
        Assert.Equal(512, disk.BlockBytes);
        Assert.Equal(DiskBytes, disk.Length);
        Assert.Equal(2048, disk.MaxTransferBlocks);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    [InlineData(4100)]
    [InlineData(8192)]
    [InlineData(12288)]
    [InlineData(200_000)]
    public void A_log_page_is_read_whatever_the_length(int bytes)
    {
        using NvmeController controller = new(Open());
        byte[] health = new byte[bytes];
        Array.Fill(health, (byte)0xee);
        controller.ReadLogPage(2, health.AsSpan(0, Math.Min(bytes, 131072)));
        Assert.Equal(303, health[1] | health[2] << 8);
        Assert.Equal(100, health[3]);

        // SMART has 512 bytes; what was asked for beyond them is zeros here, and nothing else is touched.
        Assert.All(health[512..Math.Min(bytes, 131072)], each => Assert.Equal(0, each));
        Assert.All(health.Skip(131072), each => Assert.Equal(0xee, each));
        byte[] rest = new byte[508];
        controller.ReadLogPage(2, rest, offset: 4);
        Assert.Equal(health[4..512], rest);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_written_is_read_back(bool interrupts)
    {
        using NvmeController controller = new(Open());
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open(new NvmeBlockDeviceOptions { Interrupts = interrupts });
        byte[] sent = RandomNumberGenerator.GetBytes(1 << 20);
        byte[] received = new byte[sent.Length];

        disk.Write(1536, sent);
        disk.Flush();
        disk.Read(1536, received);

        Assert.Equal(sent, received);
        byte[] before = new byte[1536];
        disk.Read(0, before);
        Assert.All(before, each => Assert.Equal(0, each));
        disk.Read(1536 + sent.Length, before);
        Assert.All(before, each => Assert.Equal(0, each));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_written_is_read_back_asynchronously(bool interrupts)
    {
        using NvmeController controller = new(Open());
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open(new NvmeBlockDeviceOptions { Interrupts = interrupts, Depth = 4 });
        CancellationToken end = TestContext.Current.CancellationToken;

        // More callers than commands in flight, each with more commands than that.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            byte[] sent = RandomNumberGenerator.GetBytes(1 << 20);
            byte[] received = new byte[sent.Length];
            await disk.WriteAsync((long)i << 20, sent, end);
            await disk.FlushAsync(end);
            await disk.ReadAsync((long)i << 20, received, end);
            Assert.Equal(sent, received);
        }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Threads_share_a_disk(bool interrupts)
    {
        using NvmeController controller = new(Open());
        NvmeBlockDeviceOptions options = new() { Interrupts = interrupts, Depth = 3, CommandBytes = 4096 };
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open(options);

        Parallel.For(0, 4, i =>
        {
            byte[] sent = RandomNumberGenerator.GetBytes(64 << 10);
            byte[] received = new byte[sent.Length];
            disk.Write((long)i << 20, sent);
            disk.Read((long)i << 20, received);
            Assert.Equal(sent, received);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Many_commands_go_with_one_doorbell_and_come_back_with_their_tags(bool interrupts)
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 32, interrupts);
        using DmaBuffer buffer = controller.Device.AllocateDma(32 * 512);
        byte[] sent = RandomNumberGenerator.GetBytes(32 * 512);
        buffer.Write(0, sent);

        for (uint i = 0; i < 32; i++)
            Assert.True(queue.TryWrite(disk, 7 * i, 1, buffer, i * 512, tag: 1000 + i));
        Assert.False(queue.TryWrite(disk, 0, 1, buffer, 0, tag: 0));
        Assert.Equal(32, queue.InFlight);
        NvmeCompleted[] completed = new NvmeCompleted[32];
        Assert.Equal(0, queue.Poll(completed));

        queue.RingDoorbell();
        HashSet<ulong> tags = [];
        while (queue.InFlight > 0)
        {
            int count = queue.Wait(completed);
            Assert.All(completed[..count], one => Assert.True(one.Status.IsSuccess && tags.Add(one.Tag)));
        }

        Assert.Equal(Enumerable.Range(1000, 32).Select(i => (ulong)i), tags.Order());
        using NvmeBlockDevice bytes = disk.Open();
        byte[] received = new byte[512];
        for (int i = 0; i < 32; i++)
        {
            bytes.Read(7L * i * 512, received);
            Assert.Equal(sent[(i * 512)..((i + 1) * 512)], received);
        }
    }

    [Theory]
    [InlineData(512, 0)]
    [InlineData(512, 3840)] // two pages, PRP2 is the second
    [InlineData(4096, 0)]
    [InlineData(4096, 4)]
    [InlineData(8192, 0)]
    [InlineData(8192, 4092)] // three pages, PRP2 is a list
    [InlineData(131072, 0)]
    [InlineData(131072, 2048)] // 33 pages, the longest list
    public void Data_may_lie_anywhere_in_memory(int count, int offset)
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 2);
        using DmaBuffer source = controller.Device.AllocateDma(count + offset + 8192);
        using DmaBuffer destination = controller.Device.AllocateDma(count + offset + 8192);
        byte[] sent = RandomNumberGenerator.GetBytes(count);
        source.Write(offset, sent);

        Assert.True(queue.TryWrite(disk, 3, count / 512, source, offset, tag: 1));
        Assert.True(Finish(queue).IsSuccess);
        Assert.True(queue.TryRead(disk, 3, count / 512, destination, offset, tag: 2));
        Assert.True(Finish(queue).IsSuccess);

        byte[] all = new byte[destination.Length];
        destination.Read(0, all);
        Assert.Equal(sent, all[offset..(offset + count)]);
        Assert.All(all[..offset], each => Assert.Equal(0, each));
        Assert.All(all[(offset + count)..], each => Assert.Equal(0, each));
    }

    [Fact]
    public void Rings_go_round_many_times()
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 2);
        using DmaBuffer buffer = controller.Device.AllocateDma(4096);

        for (int i = 0; i < 20; i++)
        {
            Assert.True(queue.TryRead(disk, i, 1, buffer, 0, tag: (ulong)i));
            Assert.True(Finish(queue).IsSuccess);
        }

        Assert.Equal(0, queue.Wait(new NvmeCompleted[1]));
    }

    [Fact]
    public void What_cannot_be_is_an_argument_error()
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 2);
        using DmaBuffer buffer = controller.Device.AllocateDma(8192);
        using NvmeBlockDevice bytes = disk.Open();

        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, disk.Blocks, 1, buffer, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, -1, 1, buffer, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, 0, 0, buffer, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, 0, 257, buffer, 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, 0, 16, buffer, 4, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryRead(disk, 0, 1, buffer, 2, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Read(DiskBytes - 512, new byte[1024]));
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Read(100, new byte[512]));
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Write(0, new byte[100]));
        Assert.Throws<ArgumentOutOfRangeException>(() => controller.CreateQueuePair(controller.MaxDepth + 1));
        Assert.Equal(0, queue.InFlight);
    }

    [Fact]
    public void Memory_that_the_device_may_not_reach_fails_one_command_and_no_other()
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 2);
        using DmaBuffer unwritable = controller.Device.AllocateDma(4096, DmaAccess.Read);

        Assert.True(queue.TryRead(disk, 0, 1, unwritable, 0, 0));
        NvmeStatus status = Finish(queue);
        Assert.Equal((0, 4), (status.Type, status.Code));
        Assert.Equal(Errno.InputOutput, status.Errno);
        Assert.True(queue.TryWrite(disk, 0, 1, unwritable, 0, 0));
        Assert.True(Finish(queue).IsSuccess);
    }

    [Fact]
    public void A_namespace_that_is_not_there_is_ENXIO()
    {
        using NvmeController controller = new(Open());
        Assert.Equal(Errno.NoDeviceOrAddress, Assert.Throws<VfioException>(() => controller.FindNamespace(2)).Errno);
    }

    [Fact]
    public void Queue_pairs_come_and_go_and_end()
    {
        using NvmeController controller = new(Open(), new NvmeOptions { QueuePairs = 2 });
        Assert.Equal(2, controller.MaxQueuePairs);
        for (int i = 0; i < 5; i++)
        {
            using NvmeQueuePair one = controller.CreateQueuePair();
            using NvmeQueuePair two = controller.CreateQueuePair(interrupts: true);
            Assert.Equal((1, 2), (one.Id, two.Id));
            Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => controller.CreateQueuePair()).Errno);
        }
    }

    [Fact]
    public void The_disk_keeps_what_was_written_for_its_next_driver()
    {
        byte[] sent = RandomNumberGenerator.GetBytes(4096);
        using (NvmeController controller = new(Open()))
        {
            using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
            disk.Write(4096, sent);
        }

        using NvmeController next = new(Open());
        using NvmeBlockDevice again = next.FindNamespace(1).Open();
        byte[] received = new byte[4096];
        again.Read(4096, received);
        Assert.Equal(sent, received);
    }

    protected static NvmeStatus Finish(NvmeQueuePair queue)
    {
        queue.RingDoorbell();
        NvmeCompleted[] completed = new NvmeCompleted[1];
        Assert.Equal(1, queue.Wait(completed));
        return completed[0].Status;
    }
}
