using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Vfio.Drivers.Nvme;

namespace Vfio.Tests.Drivers;

/// <summary>What controllers answer to admin commands: one namespace that is not ready is no matter of the others, and log pages may be
/// longer than a page of memory.</summary>
public sealed class NvmeAdminTests
{
    private const byte GetLogPage = 0x02, Identify = 0x06;
    private readonly byte[] _log = RandomNumberGenerator.GetBytes(1 << 20);

    [Theory]
    [InlineData(0x082u, Errno.Busy)]
    [InlineData(0x084u, Errno.Busy)]
    [InlineData(0x00bu, Errno.NoDeviceOrAddress)]
    [InlineData(0x002u, Errno.InvalidArgument)]
    [InlineData(0x006u, Errno.InputOutput)]
    [InlineData(0x286u, Errno.AccessDenied)]
    [InlineData(0x301u, Errno.InputOutput)]
    [InlineData(0x7ffu, Errno.InputOutput)]
    public void A_namespace_that_is_not_ready_is_listed_with_its_status_and_the_others_work(uint status, Errno errno)
    {
        using NvmeController controller = new(new NvmeStandIn(command => Answer(command, mdts: 5, notReady: 2, status)));
        Assert.Equal([1u, 2u, 7u], controller.Namespaces.Select(one => one.Id));
        Assert.Equal([true, false, true], controller.Namespaces.Select(one => one.IsReady));
        NvmeNamespace sick = controller.FindNamespace(2);
        Assert.Equal(status, sick.Status.Raw);
        Assert.Equal((0L, 0, 0), (sick.Blocks, sick.BlockBytes, sick.MaxTransferBlocks));
        VfioException refusal = Assert.Throws<VfioException>(() => sick.Open());
        Assert.Equal(errno, refusal.Errno);
        Assert.Contains($"status {status >> 8:x}/{status & 0xff:x2}", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(errno, Assert.Throws<VfioException>(sick.CheckUsable).Errno);
        controller.FindNamespace(1).CheckUsable();
        Assert.Equal(4096L * 512, controller.FindNamespace(7).Length);
    }

    [Fact]
    public void What_the_controller_is_and_a_namespace_that_is_not_ready_are_logged()
    {
        RecordingLogger log = new();
        NvmeStandIn device = new(command => Answer(command, mdts: 5, notReady: 2, 0x082));
        using NvmeController controller = new(device, new NvmeOptions { Logger = log });
        Assert.Equal(3, controller.Namespaces.Count);
        Assert.Equal([LogLevel.Debug, LogLevel.Warning], log.Entries.Select(entry => entry.Level));
        Assert.Contains(controller.Info.ModelNumber, log.Entries[0].Text);
        Assert.Contains("namespace 2 is not ready: ", log.Entries[1].Text);
    }

    [Theory]
    [InlineData(4, 0ul, 0)]
    [InlineData(4096, 0ul, 0)]
    [InlineData(4100, 0ul, 0)]
    [InlineData(8192, 0ul, 0)]
    [InlineData(8196, 0ul, 0)]
    [InlineData(65536, 4096ul, 0)]
    [InlineData(300_000, 12ul, 0)]
    [InlineData(300_000, 12ul, 1)]
    [InlineData(1 << 20, 0ul, 5)]
    public void A_log_page_is_read_by_as_many_commands_as_it_takes(int bytes, ulong offset, byte mdts)
    {
        int least = Math.Min(bytes, _log.Length - (int)offset);
        List<int> asked = [];
        using NvmeController controller = new(new NvmeStandIn(command => Answer(command, mdts, asked: asked)));
        byte[] read = new byte[least];
        controller.ReadLogPage(0x77, read, offset);
        Assert.Equal(_log.AsSpan((int)offset, least).ToArray(), read);
        int most = mdts == 0 ? 2 << 20 : 4096 << mdts;
        Assert.All(asked, one => Assert.InRange(one, 4, most));
        Assert.Equal((least + most - 1) / most, asked.Count);
    }

    [Theory]
    [InlineData(16384, 0ul, null)]
    [InlineData(16388, 0ul, Errno.NotSupported)]
    [InlineData(512, 4ul, Errno.NotSupported)]
    public void A_controller_without_offsets_gives_16_KiB(int bytes, ulong offset, Errno? refused)
    {
        using NvmeController controller = new(new NvmeStandIn(command => Answer(command, mdts: 0, extended: false)));
        byte[] read = new byte[bytes];
        if (refused is Errno errno)
        {
            Assert.Equal(errno, Assert.Throws<VfioException>(() => controller.ReadLogPage(0x77, read, offset)).Errno);
            return;
        }

        controller.ReadLogPage(0x77, read, offset);
        Assert.Equal(_log.AsSpan(0, bytes).ToArray(), read);
    }

    [Theory]
    [InlineData(3, 0ul)]
    [InlineData(4, 2ul)]
    public void Log_pages_are_read_by_four_bytes(int bytes, ulong offset)
    {
        using NvmeController controller = new(new NvmeStandIn(command => Answer(command, mdts: 0)));
        Assert.Throws<ArgumentException>(() => controller.ReadLogPage(2, new byte[bytes], offset));
    }

    private (uint Status, byte[] Data) Answer(
        byte[] command, byte mdts, uint notReady = 0, uint status = 0, bool extended = true, List<int>? asked = null)
    {
        uint dword10 = BinaryPrimitives.ReadUInt32LittleEndian(command.AsSpan(40));
        uint id = BinaryPrimitives.ReadUInt32LittleEndian(command.AsSpan(4));
        byte[] data = new byte[4096];
        switch (command[0], dword10 & 0xff)
        {
            case (GetLogPage, 0x77):
                uint dword11 = BinaryPrimitives.ReadUInt32LittleEndian(command.AsSpan(44));
                int bytes = (int)(dword10 >> 16 | (dword11 & 0xffff) << 16) * 4 + 4;
                asked?.Add(bytes);
                return (0, _log.AsSpan((int)BinaryPrimitives.ReadUInt64LittleEndian(command.AsSpan(48)), bytes).ToArray());
            case (Identify, 0) when id == notReady:
                return (status, []);
            case (Identify, 0):
                // 4096 blocks of 512 bytes, format 0.
                BinaryPrimitives.WriteUInt64LittleEndian(data, 4096);
                BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(128), 9 << 16);
                return (0, data);
            case (Identify, 1):
                data[77] = mdts;
                data[261] = extended ? (byte)4 : (byte)0;
                return (0, data);
            case (Identify, 2):
                foreach ((int place, uint number) in new[] { (0, 1u), (1, 2u), (2, 7u) })
                    BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4 * place), number);
                return (0, data);
            default:
                return (0, []);
        }
    }
}
