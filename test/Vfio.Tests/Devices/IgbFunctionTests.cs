using System.Buffers.Binary;
using System.Diagnostics;
using Vfio.Devices;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;
using Vfio.Tests.Testing;

namespace Vfio.Tests.Devices;

/// <summary>The model of the 82576 against the numbers of its datasheet, without a driver.</summary>
public sealed class IgbFunctionTests : IDisposable
{
    private const string Own = "028257600001", Other = "028257600002", All = "ffffffffffff", Group = "01005e000001";
    private readonly ManualClock _clock = new();
    private readonly IgbRig _igb;

    public IgbFunctionTests() => _igb = new IgbRig(new LoopBackend(), _clock);

    public void Dispose() => _igb.Dispose();

    [Fact]
    public void Config_space_is_that_of_an_82576()
    {
        Assert.Equal(0x10c9_8086u, _igb.Function.ReadConfig(0x00, 4));
        Assert.Equal(0x0200_0001u, _igb.Function.ReadConfig(0x08, 4));
        Assert.Equal(1u, _igb.Function.ReadConfig(0x3d, 1));
        Assert.Equal(0x20000ul, _igb.Function.GetLength(RegionIndex.Bar0));
        Assert.Equal(0x20ul, _igb.Function.GetLength(RegionIndex.Bar(2)));
        Assert.Equal(0x4000ul, _igb.Function.GetLength(RegionIndex.Bar(3)));
        Assert.Equal(25, _igb.Function.Description.Msix!.Vectors);
    }

    [Theory]
    [InlineData(0x0000, 0x0010_0209u)] // CTRL
    [InlineData(0x0010, 0x0000_2300u)] // EEC: present, read, 1,024 words
    [InlineData(0x0028, 0x00c2_8001u)] // FCAL
    [InlineData(0x0030, 0x0000_8808u)] // FCT
    [InlineData(0x0038, 0x8100_8100u)] // VET
    [InlineData(0x0410, 0x0060_1008u)] // TIPG
    [InlineData(0x2404, 0x0000_0040u)] // RXPBS: 64 KiB
    [InlineData(0x3404, 0x0000_0028u)] // TXPBS: 40 KiB
    [InlineData(0x5000, 0x0000_0300u)] // RXCSUM: IP, TCP and UDP
    [InlineData(0x5004, 0x0000_2600u)] // RLPML: 9,728
    [InlineData(0x5400, 0x6057_8202u)] // RAL 0, from the NVM
    [InlineData(0x5404, 0x8000_0100u)] // RAH 0
    [InlineData(0xc028, 0x0201_0000u)] // RXDCTL 0: enabled
    [InlineData(0xc068, 0x0001_0000u)] // RXDCTL 1
    public void Registers_have_their_reset_values(int register, uint value) => Assert.Equal(value, _igb[register]);

    // What Linux's igb writes and expects to read in its register test (ethtool -t).
    [Theory]
    [InlineData(0x0028, 0xffff_ffffu, 0xffff_ffffu)]
    [InlineData(0x002c, 0xffff_ffffu, 0x0000_ffffu)]
    [InlineData(0x0170, 0xffff_ffffu, 0x0000_ffffu)]
    [InlineData(0x0410, 0xffff_ffffu, 0x3fff_ffffu)]
    [InlineData(0x2168, 0xffff_ffffu, 0x0000_fff0u)]
    [InlineData(0x5200, 0xffff_ffffu, 0xffff_ffffu)]
    [InlineData(0x54fc, 0xffff_ffffu, 0x83ff_ffffu)]
    [InlineData(0xc000, 0xffff_ffffu, 0xffff_ff80u)]
    [InlineData(0xc3c8, 0xffff_ffffu, 0x000f_fff0u)]
    [InlineData(0xe3c8, 0xffff_ffffu, 0x000f_fff0u)]
    [InlineData(0xc3d8, 0xffff_ffffu, 0x0000_ffffu)]
    public void Bits_that_exist_can_be_written(int register, uint written, uint read)
    {
        _igb[register] = written;
        Assert.Equal(read, _igb[register]);
    }

    [Fact]
    public void Registers_are_at_the_places_of_earlier_controllers_too()
    {
        _igb[0xc04c] = 0x0200_0002;
        Assert.Equal(0x0200_0002u, _igb[0x290c]);
        _igb[0x0240] = 7;
        Assert.Equal(7u, _igb[0x5240]);
    }

    [Fact]
    public void The_registers_are_reached_through_two_ports()
    {
        _igb.Function.WriteRegion(RegionIndex.Bar(2), 0, BitConverter.GetBytes(0x5200u));
        _igb.Function.WriteRegion(RegionIndex.Bar(2), 4, BitConverter.GetBytes(0x1234_5678u));
        byte[] value = new byte[4];
        _igb.Function.ReadRegion(RegionIndex.Bar(2), 4, value);
        Assert.Equal(0x1234_5678u, BitConverter.ToUInt32(value));
        Assert.Equal(0x1234_5678u, _igb[0x5200]);
        _igb.Function.WriteRegion(RegionIndex.Bar(2), 0, BitConverter.GetBytes(0x20000u));
        _igb.Function.ReadRegion(RegionIndex.Bar(2), 4, value);
        Assert.Equal(0u, BitConverter.ToUInt32(value));
    }

    [Fact]
    public void The_NVM_has_the_address_and_a_checksum()
    {
        ushort sum = 0;
        for (int word = 0; word <= 0x3f; word++)
            sum += Nvm(word);
        Assert.Equal(0xbaba, sum);
        Assert.Equal((0x8202, 0x6057, 0x0100), (Nvm(0), Nvm(1), Nvm(2)));
        _igb[0x0014] = (1024 << 2) | 1;
        Assert.Equal(0u, _igb[0x0014] & 2);
        _igb[0x0010] = 0x40;
        Assert.Equal(0xc0u, _igb[0x0010] & 0xc0);
    }

    [Fact]
    public void The_PHY_is_that_of_an_82576_and_has_a_link()
    {
        Assert.Equal(0x02a8u, Phy(2));
        Assert.Equal(0x0390u, Phy(3) & 0xfff0);
        Assert.Equal(0x24u, Phy(1) & 0x24);
        _igb[0x0020] = 2u << 26 | 2u << 21 | 1u << 16;
        Assert.Equal(0x5000_0000u, _igb[0x0020] & 0x5000_0000);
    }

    [Fact]
    public void The_link_comes_when_it_is_to_and_goes_when_the_PHY_has_no_power()
    {
        Assert.Equal(0u, _igb[0x0008] & 2);
        _igb[0x1508] = 4;
        _igb[0x0000] |= 0x40;
        Assert.Equal(0x83u, _igb[0x0008] & 0xc3);
        WaitForCause(4);
        WritePhy(0, 0x1940);
        Assert.Equal(0u, _igb[0x0008] & 2);
    }

    [Fact]
    public void The_first_reader_of_the_semaphore_has_it()
    {
        Assert.Equal(0u, _igb[0x5b50] & 1);
        Assert.Equal(1u, _igb[0x5b50] & 1);
        _igb[0x5b50] = 3;
        Assert.Equal(2u, _igb[0x5b50] & 2);
        _igb[0x5b50] = 0;
        Assert.Equal(0u, _igb[0x5b50] & 3);
    }

    [Theory]
    [InlineData(60)]
    [InlineData(61)]
    [InlineData(1514)]
    public void A_frame_by_an_advanced_descriptor_comes_back_through_the_loop(int length)
    {
        _igb.Start();
        byte[] frame = IgbRig.Frame(length);
        _igb.Send(frame);
        Assert.Equal(frame, _igb.TakeFrame());
    }

    [Fact]
    public void A_frame_by_legacy_descriptors_comes_back_in_legacy_descriptors()
    {
        _igb.Start(split: 0x0000_0002);
        byte[] frame = IgbRig.Frame(1000);
        _igb.Poke(IgbRig.Sent, frame);
        _igb.Put(IgbRig.Sent, 0x0200_0000 | 400);                       // IFCS
        int last = _igb.Put(IgbRig.Sent + 400, 0x0b00_0000 | 600);      // EOP, IFCS, RS
        _igb.Ring();
        _igb.WaitForSent(last);
        byte[] descriptor = _igb.Take();
        Assert.Equal(1000, BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(8)));
        Assert.Equal(3, descriptor[12] & 3);
        Assert.Equal(frame, _igb.Peek(IgbRig.Received, 1000));
    }

    [Fact]
    public void A_frame_is_put_into_as_many_buffers_as_it_needs()
    {
        _igb.Start(split: 0x0200_0001, control: IgbRig.Accept | 0x20);
        byte[] frame = IgbRig.Frame(2500);
        _igb.Send(frame);
        byte[][] descriptors = [_igb.Take(), _igb.Take(), _igb.Take()];
        Assert.Equal(
            [1024, 1024, 452], descriptors.Select(descriptor => (int)BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(12))));
        Assert.Equal([1, 1, 3], descriptors.Select(descriptor => descriptor[8] & 3));
        byte[] received =
            [.. _igb.Peek(IgbRig.Received, 1024), .. _igb.Peek(IgbRig.Received + 0x800, 1024), .. _igb.Peek(IgbRig.Received + 0x1000, 452)];
        Assert.Equal(frame, received);
    }

    [Fact]
    public void A_short_frame_is_padded_with_zeros()
    {
        _igb.Start();
        _igb.Send(IgbRig.Frame(20));
        byte[] frame = _igb.TakeFrame();
        Assert.Equal(60, frame.Length);
        Assert.All(frame[20..], octet => Assert.Equal(0, octet));
    }

    [Fact]
    public void The_frame_check_sequence_is_there_unless_it_is_stripped()
    {
        _igb.Start(control: 0x8002);
        byte[] frame = [.. "123456789"u8];
        _igb.Send(IgbRig.Frame(60));
        byte[] received = _igb.TakeFrame();
        Assert.Equal(64, received.Length);

        // The CRC of a frame and its sequence is always this, and that of "123456789" is a published one.
        Assert.Equal(0x2144_df1cu, IgbChecksum.FrameCheck(received));
        Assert.Equal(0xcbf4_3926u, IgbChecksum.FrameCheck(frame));
    }

    [Fact]
    public void The_head_is_written_where_the_driver_wants_it()
    {
        _igb.Start();
        _igb[0xe03c] = 0;
        _igb[0xe038] = 0x10000 | 1;
        _igb.Poke(IgbRig.Sent, IgbRig.Frame(60));
        _igb.Put(IgbRig.Sent, 60ul << 46 | 0x2b30_0000 | 60);
        _igb.Ring();
        _igb.Slot.WaitUntil(() => BitConverter.ToUInt32(_igb.Peek(0x10000, 4)) == 1);
        Assert.Equal(1u, _igb[0xe010]);
    }

    public static TheoryData<string, uint, string, bool> Filters => new()
    {
        { "its own", IgbRig.Accept, Own, true },
        { "another's", IgbRig.Accept, Other, false },
        { "another's, UPE", IgbRig.Accept | 0x08, Other, true },
        { "all", IgbRig.Accept, All, true },
        { "all, without BAM", IgbRig.Accept & ~0x8000u, All, false },
        { "all, MPE", (IgbRig.Accept & ~0x8000u) | 0x10, All, true },
        { "a group", IgbRig.Accept, Group, false },
        { "a group, MPE", IgbRig.Accept | 0x10, Group, true },
    };

    [Theory]
    [MemberData(nameof(Filters))]
    public void Frames_are_filtered_by_their_destination(string what, uint control, string destination, bool passes)
    {
        _igb.Start(control: control);
        _igb.Send(IgbRig.Frame(64, destination: destination));
        AssertReceived(passes, what);
    }

    [Fact]
    public void A_group_is_received_by_its_hash_or_by_its_address()
    {
        _igb.Start();
        byte[] group = IgbRig.Frame(64, destination: Group);

        // MO 0: bits 47:36 of the address, here 0x010.
        _igb[0x5200 + (4 * (0x010 >> 5))] = 1 << (0x010 & 31);
        _igb.Send(group);
        Assert.Equal(group, _igb.TakeFrame());
        _igb[0x5200 + (4 * (0x010 >> 5))] = 0;
        _igb[0x54f8] = 0x005e_0001;
        _igb[0x54fc] = 0x8000_0100;
        _igb.Send(group);
        Assert.Equal(group, _igb.TakeFrame());
    }

    [Theory]
    [InlineData(5, true)]
    [InlineData(6, false)]
    public void Frames_are_filtered_by_their_VLAN(int vlan, bool passes)
    {
        _igb.Start(control: IgbRig.Accept | 1 << 18);
        _igb[0x5600] = 1 << 5;
        byte[] frame = IgbRig.Frame(64);
        Convert.FromHexString($"8100{vlan:x4}").CopyTo(frame, 12);
        _igb.Send(frame);
        AssertReceived(passes, $"VLAN {vlan}");
    }

    [Theory]
    [InlineData(1514, 0x00, true)]
    [InlineData(1515, 0x00, false)]
    [InlineData(9724, 0x20, true)]
    [InlineData(9725, 0x20, false)]
    public void Frames_that_are_too_long_are_counted_and_dropped(int length, uint longFrames, bool passes)
    {
        _igb.Start(control: IgbRig.Accept | longFrames);
        _igb.Send(IgbRig.Frame(length));
        WaitForCount(0x40d0);
        Assert.Equal(passes ? 0u : 1u, _igb[0x40ac]);
        Assert.Equal(passes ? 1u : 0u, _igb[0x4074]);
    }

    [Fact]
    public void Statistics_count_what_happened_and_are_cleared_when_read()
    {
        _igb.Start(control: IgbRig.Accept | IgbRig.Promiscuous);
        foreach ((int length, string destination) in new[] { (60, Own), (61, All), (1020, Group), (1514, Own) })
        {
            _igb.Send(IgbRig.Frame(length, destination: destination));
            _igb.TakeFrame();
        }

        Dictionary<int, uint> expected = new()
        {
            [0x4074] = 4, [0x4080] = 4, [0x40d0] = 4, [0x40d4] = 4,                     // GPRC, GPTC, TPR, TPT
            [0x4078] = 1, [0x40f4] = 1, [0x407c] = 1, [0x40f0] = 1,                     // broadcasts, multicasts
            [0x4088] = 60 + 61 + 1020 + 1514 + 16, [0x408c] = 0,                        // GORC
            [0x4090] = 60 + 61 + 1020 + 1514 + 16,                                      // GOTC
            [0x405c] = 1, [0x4060] = 1, [0x406c] = 0, [0x4070] = 2,                     // 64, to 127, to 1023, more
            [0x40d8] = 1, [0x40dc] = 1, [0x40e8] = 0, [0x40ec] = 2,
            [0x4010] = 0, [0x40a0] = 0, [0x40ac] = 0,                                   // nothing missed
        };
        Assert.All(expected, pair => Assert.Equal((pair.Key, pair.Value), (pair.Key, _igb[pair.Key])));
        Assert.All(expected, pair => Assert.Equal((pair.Key, 0u), (pair.Key, _igb[pair.Key])));
    }

    [Fact]
    public void A_queue_without_descriptors_holds_frames_until_there_are_some()
    {
        _igb.Start();
        _igb[0xc018] = 0;
        _igb[0xc010] = 0;
        byte[] frame = IgbRig.Frame(64);
        _igb.Send(frame);
        WaitForCount(0x40a0);
        _igb[0xc018] = 1;
        Assert.Equal(frame, _igb.TakeFrame());
    }

    [Fact]
    public void A_queue_that_drops_counts_what_it_dropped()
    {
        _igb.Start(split: 0x8200_0002);
        _igb[0xc018] = 0;
        _igb[0xc010] = 0;
        _igb.Send(IgbRig.Frame(64));
        WaitForCount(0xc030);
        Assert.Equal(0u, _igb[0xc030]);
    }

    [Fact]
    public void A_received_frame_raises_the_vector_of_its_queue_once_and_masks_it()
    {
        StartVectors();
        _igb[0x1700] = 0x0000_0085;
        _igb[0x1524] = 1 << 5;
        _igb.Start();
        _igb.Send(IgbRig.Frame(64));
        _igb.Slot.WaitFor("MSI-X 5");
        Assert.Equal(0u, _igb[0x1524]);
        Assert.Equal(0u, _igb[0x1580]);

        // The next one stays in EICR until it is unmasked.
        _igb.TakeFrame();
        _igb.Send(IgbRig.Frame(64));
        _igb.TakeFrame();
        _igb.Slot.WaitUntil(() => _igb.Slot.Seen.Count == 1);
        _igb.Slot.WaitUntil(() => Unmasked(1 << 5) && _igb.Slot.Seen.Count == 2);
    }

    [Fact]
    public void Each_queue_has_its_vectors()
    {
        StartVectors();
        _igb[0x1700 + (4 * 3)] = 0x9887_8281; // receive 3, transmit 3, receive 11, transmit 11
        _igb[0x1524] = 0x01ff_ffff;
        _igb[0x152c] = 0x01ff_ffff;
        _igb.Start(queue: 3);
        _igb[0x5818] = 2;
        for (int i = 0; i < 32; i++)
            _igb[0x5c00 + (4 * i)] = 0x0303_0303;
        _igb.Send(IgbRig.Frame(64), queue: 3);
        _igb.Slot.WaitFor("MSI-X 2");
        _igb.Start(queue: 11);
        _igb.Send(IgbRig.Frame(64), queue: 11);
        _igb.Slot.WaitFor("MSI-X 24");
        _igb.Start(queue: 0);
        Assert.DoesNotContain("MSI-X 7", _igb.Slot.Seen);
    }

    [Fact]
    public void Other_causes_raise_the_vector_of_IVAR_MISC()
    {
        StartVectors();
        _igb[0x1740] = 0x0000_8900;
        _igb[0x1524] = 1 << 9;
        _igb[0x1508] = 0x4;
        _igb[0x1504] = 0x4;
        _igb.Slot.WaitFor("MSI-X 9");
        Assert.Equal(0x4u, _igb[0x1500]);
        Assert.Equal(0u, _igb[0x1500]);
    }

    [Fact]
    public void Two_interrupts_of_a_vector_are_as_far_apart_as_EITR_says()
    {
        StartVectors();
        _igb[0x1680] = 100 << 2;
        _igb[0x152c] = 1;
        _igb[0x1530] = 0;
        _igb[0x1524] = 1;
        _clock.Advance(TimeSpan.FromSeconds(1));
        _igb[0x1520] = 1;
        _igb[0x1520] = 1;
        Assert.Equal(["MSI-X 0"], _igb.Slot.Seen);
        _clock.Advance(TimeSpan.FromMicroseconds(99));
        _igb[0x1520] = 1;
        Assert.Equal(["MSI-X 0"], _igb.Slot.Seen);
        _clock.Advance(TimeSpan.FromMicroseconds(1));
        _igb.Slot.WaitUntil(() => _igb.Slot.Seen.Count == 2);
    }

    [Fact]
    public void Without_MSI_X_the_pin_is_up_until_the_cause_is_read()
    {
        _igb[0x1508] = 0x80;
        _igb.Start();
        _igb.Send(IgbRig.Frame(64));
        _igb.Slot.WaitUntil(() => _igb.Slot.Pin);
        uint causes = _igb[0x1500];
        Assert.Equal(0x8000_0080u, causes & 0x8000_0080);
        Assert.False(_igb.Slot.Pin);
        Assert.Equal(0u, _igb[0x1500]);
    }

    [Fact]
    public void A_masked_cause_lowers_the_pin_and_unmasking_raises_it()
    {
        _igb[0x1508] = 0x10;
        _igb[0x1504] = 0x10;
        Assert.True(_igb.Slot.Pin);
        _igb[0x150c] = 0x10;
        Assert.False(_igb.Slot.Pin);
        _igb[0x1508] = 0x10;
        Assert.True(_igb.Slot.Pin);
    }

    [Fact]
    public void A_reset_by_CTRL_brings_the_registers_back_and_stops_the_queues()
    {
        StartVectors();
        _igb.Start();
        _igb[0x5400] = 0;
        _igb[0x0000] |= 1 << 26;
        Assert.Equal(0x0010_0209u, _igb[0x0000]);
        Assert.Equal(0x6057_8202u, _igb[0x5400]);
        Assert.Equal((0u, 0u, 0u), (_igb[0x1514], _igb[0xc008], _igb[0x0100]));
        _igb.Start();
        _igb.Send(IgbRig.Frame(64));
        _igb.TakeFrame();
    }

    [Fact]
    public void A_reset_ends_a_flood_and_the_next_driver_starts_clean()
    {
        _igb.Start(split: 0x8200_0002);
        for (int i = 0; i < IgbRig.Entries; i++)
            _igb.Put(IgbRig.Sent, 0x2a30_0000 | 1514ul << 46 | 1514);
        _igb.Poke(IgbRig.Sent, IgbRig.Frame(1514));

        // The tail runs ahead of the head all the time, as a hostile driver's would.
        for (int round = 0; round < 20; round++)
        {
            _igb[0xe018] = (uint)((round * 37) % IgbRig.Entries);
            long start = Stopwatch.GetTimestamp();
            Assert.Equal(Errno.None, _igb.Function.Reset(ResetMethod.Flr));
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2), "a reset waits");
            _igb.Wake();
            _igb.Start(split: 0x8200_0002);
        }
    }

    [Fact]
    public void GIO_Master_Disable_stops_DMA()
    {
        _igb.Start();
        _igb[0x0000] |= 4;
        _igb.Slot.WaitUntil(() => (_igb[0x0008] & 1 << 19) == 0);
        byte[] frame = IgbRig.Frame(64);
        _igb.Poke(IgbRig.Sent, frame);
        int at = _igb.Put(IgbRig.Sent, 60ul << 46 | 0x2b30_0000 | 64);
        _igb.Ring();
        Assert.Equal(0u, _igb[0xe010]);
        _igb[0x0000] &= ~4u;
        _igb.WaitForSent(at);
        Assert.Equal(frame, _igb.TakeFrame());
    }

    public static TheoryData<string, ulong, ulong> Nonsense => new()
    {
        { "no bytes", IgbRig.Sent, 0x2b30_0000 },
        { "65,535 bytes", IgbRig.Sent, 0x2b30_ffff },
        { "no memory there", 0xffff_ffff_ffff_fff0, 0x2b30_0040 },
        { "its own descriptor", 0x0000, 0x2b30_0040 },
        { "the whole ring", 0x0000, 0x2b30_0400 },
        { "a type that does not exist", IgbRig.Sent, 0x2b70_0040 },
        { "segments of no bytes", IgbRig.Sent, 0xab30_0200 },
        { "checksums beyond the end", IgbRig.Sent, 0x0000_0300_2b30_0010 },
        { "a legacy checksum beyond the end", IgbRig.Sent, 0x0000_ff00_0fff_0040 },
        { "13 bytes", IgbRig.Sent, 0x2b30_000d },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public void A_descriptor_of_nonsense_ends_nothing(string what, ulong address, ulong command)
    {
        _igb.Start(split: 0x8200_0002, control: IgbRig.Accept | 0x20 | IgbRig.Promiscuous);
        _igb.Put(address, command);
        _igb.Put(address, command & ~0x0100_0000ul);
        _igb.Put(address, command);
        _igb.Ring();
        byte[] frame = IgbRig.Frame(100, fill: 0xc3);
        _igb.Send(frame);
        _igb.Slot.WaitUntil(() => HasReceived(frame));
        Assert.NotEmpty(what);
    }

    [Fact]
    public void Rings_of_nonsense_end_nothing()
    {
        _igb.Start(split: 0x8200_0002, control: IgbRig.Accept | IgbRig.Promiscuous | 0x20);
        foreach (uint value in new uint[] { 0, 1, 64, 0xffff, 0xffff_ffff, 0x8000_0000 })
        {
            foreach (int register in new[]
            {
                0xc000, 0xc004, 0xc008, 0xc00c, 0xc010, 0xc018, 0xe000, 0xe004, 0xe008, 0xe010, 0xe018, 0xe038,
                0x1700, 0x1740, 0x1680, 0x5000, 0x5480, 0x5c00,
            })
            {
                _igb[register] = value;
                _igb.Ring();
            }
        }

        _igb[0x0000] |= 1 << 26;
        _igb.Start();
        byte[] frame = IgbRig.Frame(64);
        _igb.Send(frame);
        Assert.Equal(frame, _igb.TakeFrame());
    }

    [Theory]
    [InlineData("net", "nowhere")]
    [InlineData("net", "loop:back")]
    [InlineData("net", "hub:")]
    [InlineData("mac", "02:00:00:00:00")]
    [InlineData("mac", "01:00:00:00:00:01")]
    [InlineData("mac", "00:00:00:00:00:00")]
    [InlineData("nonsense", "1")]
    public void What_is_no_port_is_refused_in_one_line(string name, string value)
    {
        Dictionary<string, string> options = new() { [name] = value };
        VfioException refusal = Assert.Throws<VfioException>(() => ModelCatalog.Create("igb", options));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void Ports_at_one_hub_hear_each_other_and_not_themselves()
    {
        string hub = Guid.NewGuid().ToString();
        using IgbRig first = new(IgbFunction.Create($"hub:{hub}", "02:00:00:00:00:01"));
        using IgbRig second = new(IgbFunction.Create($"hub:{hub}", "02:00:00:00:00:02"));
        first.Start();
        second.Start();
        byte[] frame = IgbRig.Frame(64, destination: "020000000002");
        first.Send(frame);
        Assert.Equal(frame, second.TakeFrame());
        Assert.Equal(0u, first[0x40d0]);
    }

    private void StartVectors()
    {
        int capability = (int)_igb.Function.ReadConfig(0x34, 1);
        while (_igb.Function.ReadConfig(capability, 1) != 0x11)
            capability = (int)_igb.Function.ReadConfig(capability + 1, 1);
        _igb.Function.WriteConfig(capability + 2, 2, 0x8000);
        for (int i = 0; i < 25; i++)
            _igb.Function.WriteRegion(RegionIndex.Bar(3), (ulong)((16 * i) + 12), new byte[4]);
        _igb[0x1514] = 0xc000_0011;
        _igb[0x152c] = 0x01ff_ffff;
        _igb[0x1530] = 0x01ff_ffff;
    }

    private bool Unmasked(uint vectors)
    {
        _igb[0x1524] = vectors;
        return true;
    }

    private bool HasReceived(byte[] frame) =>
        Enumerable.Range(0, IgbRig.Entries).Any(i => _igb.Peek(IgbRig.ReceiveBuffer(0, i), frame.Length).AsSpan().SequenceEqual(frame));

    private void AssertReceived(bool passes, string what)
    {
        // The frame behind comes in any case.
        byte[] own = IgbRig.Frame(60, fill: 0x77);
        _igb.Send(own);
        byte[] first = _igb.TakeFrame();
        Assert.True(passes == !first.AsSpan().SequenceEqual(own), what);
    }

    // A counter that a read clears becomes 1.
    private void WaitForCount(int register)
    {
        uint count = 0;
        _igb.Slot.WaitUntil(() => (count += _igb[register]) == 1);
    }

    private void WaitForCause(uint cause)
    {
        uint seen = 0;
        _igb.Slot.WaitUntil(() => ((seen |= _igb[0x1500]) & cause) != 0);
    }

    private ushort Nvm(int word)
    {
        _igb[0x0014] = ((uint)word << 2) | 1;
        uint value = _igb[0x0014];
        Assert.Equal(2u, value & 2);
        return (ushort)(value >> 16);
    }

    private uint Phy(int register)
    {
        _igb[0x0020] = 2u << 26 | 1u << 21 | (uint)register << 16;
        uint value = _igb[0x0020];
        Assert.Equal(0x1000_0000u, value & 0x5000_0000);
        return value & 0xffff;
    }

    private void WritePhy(int register, ushort value) => _igb[0x0020] = 1u << 26 | 1u << 21 | (uint)register << 16 | value;
}
