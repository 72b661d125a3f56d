using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Vfio.Devices.Nvme;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>The model of an NVMe controller against the numbers of the Base Specification 2.0, without a driver.</summary>
public sealed class NvmeFunctionTests : IDisposable
{
    private const int AdminSubmissions = 0x0000, AdminCompletions = 0x1000, Submissions = 0x2000, Completions = 0x3000, Data = 0x4000;
    private const int DiskBytes = 1 << 20;
    private readonly WaitingSlot _slot = new() { Memory = new byte[0x80000] };
    private readonly NvmeFunction _nvme = NvmeFunction.InMemory(DiskBytes);
    private readonly int[] _tails = new int[2];
    private readonly int[] _heads = new int[2];
    private ushort _id;

    public NvmeFunctionTests()
    {
        _nvme.Connect(_slot);
        _nvme.WriteConfig(0x04, 2, 0x0006);
    }

    public void Dispose() => _nvme.Dispose();

    [Fact]
    public void Config_space_is_that_of_an_NVMe_endpoint()
    {
        Assert.Equal(0x4e565646u, _nvme.ReadConfig(0x00, 4));
        Assert.Equal(0x010802u, _nvme.ReadConfig(0x08, 4) >> 8);
        Assert.Equal(0x4000ul, _nvme.GetLength(RegionIndex.Bar0));
        Assert.Equal(0u, _nvme.ReadConfig(0x3d, 1));
    }

    [Fact]
    public void Registers_have_their_reset_values_and_bits()
    {
        Assert.Equal(0x0401_03ffu, Read(0x00));
        Assert.Equal(0x0800_0830u, Read(0x04));
        Assert.Equal(0x0002_0000u, Read(0x08));
        Assert.Equal(0u, Read(0x14));
        Assert.Equal(0u, Read(0x1c));
        Write(0x28, 0xffff_ffff);
        Write(0x2c, 0x1234_5678);
        Assert.Equal(0xffff_f000u, Read(0x28));
        Assert.Equal(0x1234_5678u, Read(0x2c));
        Write(0x24, 0xffff_ffff);
        Assert.Equal(0x0fff_0fffu, Read(0x24));
        Write(0x00, 0);
        Assert.Equal(0x0401_03ffu, Read(0x00));
        Assert.Equal(0u, Read(0x1000));
    }

    [Theory]
    [InlineData(0x0046_0081u)] // MPS 1: pages of 8 KiB
    [InlineData(0x0046_0011u)] // CSS 1
    [InlineData(0x0046_0801u)] // AMS 1
    public void A_configuration_that_it_does_not_have_is_a_fatal_status_until_it_is_disabled(uint configuration)
    {
        Write(0x24, 0x000f_000f);
        Write(0x14, configuration);
        WaitForStatus(0x2);
        Write(0x14, 0);
        WaitForStatus(0x0);
        Enable();
    }

    [Fact]
    public void Enable_shutdown_and_disable_show_in_the_status()
    {
        Enable();
        Write(0x14, 0x0046_4001);
        WaitForStatus(0x9);
        Write(0x14, 0x0046_0000);
        WaitForStatus(0x0);
        Enable();
    }

    [Fact]
    public void Identify_describes_one_controller_and_one_namespace()
    {
        Enable();
        Assert.Equal(0, Admin(0x06, prp1: Data, dword10: 1).Status);
        Assert.Equal(0x5646, BinaryPrimitives.ReadUInt16LittleEndian(_slot.Memory.AsSpan(Data)));
        Assert.Equal("Vfio software NVMe disk", Encoding.ASCII.GetString(_slot.Memory, Data + 24, 40).TrimEnd());
        Assert.Equal(8, _slot.Memory[Data + 77]);
        Assert.Equal((0x66, 0x44), (_slot.Memory[Data + 512], _slot.Memory[Data + 513]));
        Assert.Equal(1, _slot.Memory[Data + 516]);

        Assert.Equal(0, Admin(0x06, prp1: Data, dword10: 0, space: 1).Status);
        Assert.Equal(DiskBytes / 512, BinaryPrimitives.ReadInt64LittleEndian(_slot.Memory.AsSpan(Data)));
        Assert.Equal(9, _slot.Memory[Data + 130]);

        Assert.Equal(0, Admin(0x06, prp1: Data, dword10: 2).Status);
        Assert.Equal(new byte[] { 1, 0, 0, 0, 0, 0, 0, 0 }, _slot.Memory[Data..(Data + 8)]);
        Assert.Equal(0, Admin(0x06, prp1: Data, dword10: 3, space: 1).Status);
        Assert.Equal((1, 8), (_slot.Memory[Data], _slot.Memory[Data + 1]));
        Assert.Equal((2, 16), (_slot.Memory[Data + 12], _slot.Memory[Data + 13]));
        Assert.Equal((3, 16), (_slot.Memory[Data + 32], _slot.Memory[Data + 33]));
        Assert.Equal((4, 1), (_slot.Memory[Data + 52], _slot.Memory[Data + 53]));
        Assert.Equal(0x00b, Admin(0x06, prp1: Data, dword10: 0, space: 2).Status);
        Assert.Equal(0x002, Admin(0x06, prp1: Data, dword10: 0x7f).Status);
    }

    [Fact]
    public void Admin_commands_that_cannot_be_are_refused_with_their_status()
    {
        Enable();
        Assert.Equal(0x001, Admin(0x7f).Status);
        Assert.Equal(0x002, Admin(0x06, flags: 0x40, prp1: Data, dword10: 1).Status);      // SGLs
        Assert.Equal(0x013, Admin(0x06, prp1: Data + 2, dword10: 1).Status);
        Assert.Equal(0x004, Admin(0x06, prp1: 0x1_0000_0000, dword10: 1).Status);
        Assert.Equal(0x101, Admin(0x05, prp1: Data, dword10: 0x000f_0000, dword11: 1).Status); // queue 0
        Assert.Equal(0x101, Admin(0x05, prp1: Data, dword10: 0x000f_0011, dword11: 1).Status); // queue 17
        Assert.Equal(0x102, Admin(0x05, prp1: Data, dword10: 0x0000_0001, dword11: 1).Status); // 1 entry
        Assert.Equal(0x102, Admin(0x05, prp1: Data, dword10: 0x0400_0001, dword11: 1).Status); // 1025 entries
        Assert.Equal(0x108, Admin(0x05, prp1: Data, dword10: 0x000f_0001, dword11: 0x0011_0003).Status);
        Assert.Equal(0x002, Admin(0x05, prp1: Data, dword10: 0x000f_0001, dword11: 0).Status); // not contiguous
        Assert.Equal(0x013, Admin(0x05, prp1: Data + 64, dword10: 0x000f_0001, dword11: 1).Status);
        Assert.Equal(0x100, Admin(0x01, prp1: Data, dword10: 0x000f_0001, dword11: 0x0001_0001).Status);
        Assert.Equal(0x101, Admin(0x00, dword10: 1).Status);
        Assert.Equal(0x101, Admin(0x04, dword10: 1).Status);
        Assert.Equal(0x109, Admin(0x02, prp1: Data, dword10: 0x007f_00c0).Status);
        Assert.Equal(0x002, Admin(0x09, dword10: 0x7f).Status);
        Assert.Equal((0, 0x000f_000fu), Admin(0x09, dword10: 7, dword11: 0x0003_0003));
        Assert.Equal((0, 1u), Admin(0x0a, dword10: 6)); // the write cache is on
        Assert.Equal((0, 1u), Admin(0x08, dword10: 0)); // nothing is aborted
    }

    [Fact]
    public void Event_requests_are_kept_up_to_a_number()
    {
        Enable();
        for (int i = 0; i < 4; i++)
            Submit(0, 0x0c);
        Assert.Equal(0x105, Admin(0x0c).Status);
    }

    [Fact]
    public void A_queue_in_use_is_not_deleted()
    {
        Enable();
        CreateQueues();
        Assert.Equal(0x10c, Admin(0x04, dword10: 1).Status);
        Assert.Equal(0x000, Admin(0x00, dword10: 1).Status);
        Assert.Equal(0x000, Admin(0x04, dword10: 1).Status);
    }

    [Fact]
    public void Blocks_are_written_and_read_through_a_chain_of_page_lists()
    {
        Enable();
        CreateQueues();
        RandomNumberGenerator.Fill(_slot.Memory.AsSpan(0x20000, 0x8000));

        // Pages out of order; the list starts at the second last entry of its page, whose last entry points to the rest.
        int[] pages = [0x20000, 0x25000, 0x22000, 0x21000];
        PutAddress(0x10ff0, (ulong)pages[1]);
        PutAddress(0x10ff8, 0x11000);
        PutAddress(0x11000, (ulong)pages[2]);
        PutAddress(0x11008, (ulong)pages[3]);
        Assert.Equal(0, Io(0x01, 0x20000, 0x10ff0, block: 8, blocks: 32).Status);

        Assert.Equal(0, Io(0x02, 0x30000, 0, block: 8, blocks: 8).Status);
        Assert.Equal(_slot.Memory[pages[0]..(pages[0] + 0x1000)], _slot.Memory[0x30000..0x31000]);
        Assert.Equal(0, Io(0x02, 0x30000, 0x31000, block: 24, blocks: 16).Status);
        Assert.Equal(_slot.Memory[pages[2]..(pages[2] + 0x1000)], _slot.Memory[0x30000..0x31000]);
        Assert.Equal(_slot.Memory[pages[3]..(pages[3] + 0x1000)], _slot.Memory[0x31000..0x32000]);
        Assert.Equal(0, Io(0x00, 0, 0, 0, 1).Status);
    }

    [Fact]
    public void Io_commands_that_cannot_be_are_refused_with_their_status()
    {
        Enable();
        CreateQueues();
        Assert.Equal(0x080, Io(0x02, Data, 0, block: 2048, blocks: 1).Status);
        Assert.Equal(0x080, Io(0x02, Data, 0, block: 2047, blocks: 2).Status);
        Assert.Equal(0x080, Io(0x02, Data, 0, block: 0xffff_ffff_ffff_ffff, blocks: 1).Status);
        Assert.Equal(0x002, Io(0x02, Data, 0x10000, block: 0, blocks: 2049).Status); // above MDTS
        Assert.Equal(0x013, Io(0x02, Data + 1, 0, block: 0, blocks: 1).Status);
        Assert.Equal(0x013, Io(0x02, Data, Data + 0x1800, block: 0, blocks: 16).Status);
        Assert.Equal(0x013, Io(0x02, Data, 0x10004, block: 0, blocks: 32).Status);
        Assert.Equal(0x004, Io(0x02, 0x1_0000_0000, 0, block: 0, blocks: 1).Status);
        Assert.Equal(0x001, Io(0x7f, Data, 0, block: 0, blocks: 1).Status);
        Assert.Equal(0x00b, Io(0x02, Data, 0, block: 0, blocks: 1, space: 2).Status);
        Assert.Equal(0x000, Io(0x02, Data, 0, block: 2047, blocks: 1).Status);
    }

    [Fact]
    public void Lists_that_lead_in_a_circle_end()
    {
        Enable();
        CreateQueues();
        PutAddress(0x10ff8, 0x10ff8);
        Assert.Equal(0x002, Io(0x02, Data, 0x10ff8, block: 0, blocks: 32).Status);
        Assert.Equal(0x000, Io(0x02, Data, 0, block: 0, blocks: 1).Status);
    }

    [Fact]
    public void A_full_completion_queue_holds_commands_back_until_its_head_moves()
    {
        Enable();
        CreateQueues();
        for (int i = 0; i < 15; i++)
            Submit(1, 0x00, space: 1);
        _slot.WaitUntil(() => PhaseAt(Completions, 14) == 1);
        Submit(1, 0x00, space: 1);
        Assert.Equal(0x101, Admin(0x00, dword10: 9).Status); // another round of the queues is over
        Assert.Equal(0, PhaseAt(Completions, 15));

        Write(0x1000 + 12, 15);
        _slot.WaitUntil(() => PhaseAt(Completions, 15) == 1);
    }

    [Fact]
    public void A_completion_queue_raises_its_own_vector()
    {
        int msix = FindCapability(0x11);
        _nvme.WriteConfig(msix + 2, 2, 0x8000);
        for (int vector = 0; vector < 17; vector++)
            Write(0x2000 + (16 * vector) + 12, 0);
        Enable();
        CreateQueues(vector: 3);
        Assert.Equal(0, Io(0x00, 0, 0, 0, 1).Status);
        _slot.WaitFor("MSI-X 3");
        Assert.Contains("MSI-X 0", _slot.Seen);
    }

    [Fact]
    public void A_reset_in_the_middle_leaves_a_controller_that_can_be_enabled()
    {
        Enable();
        CreateQueues();
        for (int i = 0; i < 10; i++)
            Submit(1, 0x02, prp1: Data, dword12: 7, space: 1);
        Assert.Equal(Errno.None, _nvme.Reset(ResetMethod.Flr));

        Assert.Equal(0u, Read(0x14));
        Assert.Equal(0u, Read(0x1c));
        byte[] quiet = [.. _slot.Memory];
        _nvme.WriteConfig(0x04, 2, 0x0006);
        Assert.Equal(quiet, _slot.Memory);
        Array.Clear(_slot.Memory);
        Array.Clear(_tails);
        Array.Clear(_heads);
        Enable();
        CreateQueues();
        Assert.Equal(0, Io(0x02, Data, 0, 0, 1).Status);
    }

    [Fact]
    public void Doorbells_of_queues_that_are_not_there_or_beyond_their_end_do_nothing()
    {
        Enable();
        Write(0x1000 + 8, 5);
        Write(0x1000 + 4 * 200, 5);
        Write(0x1000, 0xffff);
        Write(0x1000, (uint)_tails[0]);
        Assert.Equal(0, Admin(0x06, prp1: Data, dword10: 1).Status);
    }

    private void Enable()
    {
        Write(0x24, 0x000f_000f);
        Write(0x28, AdminSubmissions);
        Write(0x30, AdminCompletions);
        Array.Clear(_tails);
        Array.Clear(_heads);
        _slot.Memory.AsSpan(0, Data).Clear();
        Write(0x14, 0x0046_0001);
        WaitForStatus(0x1);
    }

    private void CreateQueues(int vector = 1)
    {
        Assert.Equal(0, Admin(0x05, prp1: Completions, dword10: 0x000f_0001, dword11: ((uint)vector << 16) | 3).Status);
        Assert.Equal(0, Admin(0x01, prp1: Submissions, dword10: 0x000f_0001, dword11: 0x0001_0001).Status);
    }

    private (int Status, uint Result) Admin(
        byte opcode, byte flags = 0, ulong prp1 = 0, uint dword10 = 0, uint dword11 = 0, uint space = 0)
    {
        Submit(0, opcode, flags, prp1, 0, dword10, dword11, 0, space);
        return Take(0, AdminCompletions);
    }

    private (int Status, uint Result) Io(byte opcode, ulong prp1, ulong prp2, ulong block, int blocks, uint space = 1)
    {
        Submit(1, opcode, 0, prp1, prp2, (uint)block, (uint)(block >> 32), (uint)(blocks - 1), space);
        return Take(1, Completions);
    }

    private void Submit(
        int queue, byte opcode, byte flags = 0, ulong prp1 = 0, ulong prp2 = 0,
        uint dword10 = 0, uint dword11 = 0, uint dword12 = 0, uint space = 0)
    {
        Span<byte> entry = _slot.Memory.AsSpan((queue == 0 ? AdminSubmissions : Submissions) + (64 * _tails[queue]), 64);
        entry.Clear();
        entry[0] = opcode;
        entry[1] = flags;
        BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], ++_id);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], space);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[24..], prp1);
        BinaryPrimitives.WriteUInt64LittleEndian(entry[32..], prp2);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[40..], dword10);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[44..], dword11);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[48..], dword12);
        _tails[queue] = (_tails[queue] + 1) % 16;
        Write(0x1000 + (8 * queue), (uint)_tails[queue]);
    }

    private (int Status, uint Result) Take(int queue, int start)
    {
        int index = _heads[queue] % 16;
        int phase = _heads[queue] / 16 % 2 == 0 ? 1 : 0;
        _slot.WaitUntil(() => PhaseAt(start, index) == phase);
        ReadOnlySpan<byte> entry = _slot.Memory.AsSpan(start + (16 * index), 16);
        Assert.Equal(_id, BinaryPrimitives.ReadUInt16LittleEndian(entry[12..]));
        Assert.Equal(queue, BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]));
        Assert.Equal(_tails[queue], BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]));
        _heads[queue]++;
        Write(0x1004 + (8 * queue), (uint)(_heads[queue] % 16));
        return (BinaryPrimitives.ReadUInt16LittleEndian(entry[14..]) >> 1 & 0x7ff, BinaryPrimitives.ReadUInt32LittleEndian(entry));
    }

    private int PhaseAt(int start, int index) => Volatile.Read(ref _slot.Memory[start + (16 * index) + 14]) & 1;

    private void PutAddress(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(_slot.Memory.AsSpan(at), value);

    private void WaitForStatus(uint status) => _slot.WaitUntil(() => Read(0x1c) == status);

    private int FindCapability(byte id)
    {
        int at = (int)_nvme.ReadConfig(0x34, 1);
        while (at != 0 && _nvme.ReadConfig(at, 1) != id)
            at = (int)_nvme.ReadConfig(at + 1, 1);
        return at;
    }

    private uint Read(int offset)
    {
        byte[] value = new byte[4];
        _nvme.ReadRegion(RegionIndex.Bar0, (ulong)offset, value);
        return BinaryPrimitives.ReadUInt32LittleEndian(value);
    }

    private void Write(int offset, uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _nvme.WriteRegion(RegionIndex.Bar0, (ulong)offset, bytes);
    }
}
