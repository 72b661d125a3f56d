using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Drivers;

/// <summary>The driver on a stand-in; register and descriptor numbers are the 82576 datasheet's.</summary>
public sealed class IgbPortTests
{
    private const uint TransmitTail = 0xe018, ReceiveTail = 0xc018;
    private readonly IgbStandIn _device = new();

    [Fact]
    public void A_port_has_the_address_that_the_eeprom_gave_it()
    {
        using IgbPort port = new(_device);

        Assert.Equal("52:54:00:12:34:56", port.Address.ToString());
        Assert.Equal(1518, port.MaxFrameBytes);
        Assert.False(port.IsVirtualFunction);
        Assert.True(port.IsLinkUp);
    }

    [Fact]
    public void An_address_of_ones_choice_goes_to_RAL_and_RAH()
    {
        Assert.True(MacAddress.TryParse("02:11:22:33:44:55", out MacAddress wanted));
        using IgbPort port = new(_device, new IgbOptions { Address = wanted });

        Assert.Equal(0x33221102u, _device[0x5400]);
        Assert.Equal(0x80005544u, _device[0x5404]);
        Assert.Equal(wanted, port.Address);
    }

    [Fact]
    public void The_device_is_reset_before_its_queues_are_set_up()
    {
        using IgbPort port = new(_device);

        int reset = _device.Writes.FindIndex(write => write.Register == 0x0000 && (write.Value & 1 << 26) != 0);
        Assert.True(_device.Writes.FindIndex(write => write == (0x0100, 0)) < reset);
        Assert.True(_device.Writes.FindIndex(write => write == (0x1528, uint.MaxValue)) < reset);
        Assert.Contains(_device.Writes[..reset], write => write.Register == 0 && (write.Value & 4) != 0);
        Assert.True(_device.Writes.FindIndex(write => write.Register is 0xc000 or 0xe000) > reset);
        Assert.Equal(0u, _device[0x0000] & 4);
    }

    [Fact]
    public void Queues_are_set_up_as_the_datasheet_requires()
    {
        using IgbPort port = new(_device, new IgbOptions { ReceiveEntries = 64, TransmitEntries = 128 });

        Assert.Equal(64u * 16, _device[0xc008]);
        Assert.Equal(128u * 16, _device[0xe008]);
        Assert.Equal(0x0200_0002u, _device[0xc00c]);
        Assert.Equal(1u, _device[0xc028] >> 25 & 1);
        Assert.Equal(1u, _device[0xe028] >> 25 & 1);
        Assert.Equal(63u, _device[ReceiveTail]);
        Assert.Equal(0u, _device[TransmitTail]);
        Assert.Equal(0x0400_8002u, _device[0x0100]);
        Assert.Equal(0x2u, _device[0x0400] & 2);
        Assert.True(_device.Writes.LastIndexOf((0xc028, _device[0xc028])) < _device.Writes.IndexOf((ReceiveTail, 63)));
    }

    [Fact]
    public void One_vector_is_for_received_frames()
    {
        using IgbPort port = new(_device, new IgbOptions { InterruptInterval = TimeSpan.FromMicroseconds(50) });

        Assert.True(port.HasInterrupts);
        Assert.Equal(0x80u, _device[0x1700]);
        Assert.Equal(0xc000_0011u, _device[0x1514]);
        Assert.Equal(0x8000_0000u | 50 << 2, _device[0x1680]);
        Assert.Equal((1u, 1u), (_device[0x152c], _device[0x1530]));
    }

    [Fact]
    public void A_batch_of_32_frames_is_sent_by_one_register_write()
    {
        using IgbPort port = new(_device);
        EthernetFrame[] frames = new EthernetFrame[32];
        Assert.Equal(32, port.Take(frames));
        for (int i = 0; i < frames.Length; i++)
        {
            port.Buffers.Write(frames[i], 0, Frame(60 + i, (byte)i));
            frames[i] = frames[i] with { Length = 60 + i };
        }

        _device.Writes.Clear();
        Assert.Equal(32, port.Transmit(frames));

        Assert.Equal([(TransmitTail, 32u)], _device.Writes);
        Assert.Equal(32, _device.Sent.Count);
        Assert.All(_device.Sent.Index(), sent => Assert.Equal(Frame(60 + sent.Index, (byte)sent.Index), sent.Item));
    }

    [Fact]
    public void A_batch_of_32_received_frames_costs_one_register_write()
    {
        using IgbPort port = new(_device);
        for (int i = 0; i < 32; i++)
            Assert.True(_device.Deliver(Frame(64 + i, (byte)i)));
        EthernetFrame[] frames = new EthernetFrame[64];
        byte[] bytes = new byte[2048];

        _device.Writes.Clear();
        Assert.Equal(32, port.Receive(frames));

        Assert.Equal([(ReceiveTail, 31u)], _device.Writes);
        Assert.All(frames[..32].Index(), got => Assert.Equal(Frame(64 + got.Index, (byte)got.Index), port.Buffers.Read(got.Item, bytes)));
        Assert.Equal(0, port.Receive(frames));
    }

    [Fact]
    public void Descriptors_of_a_frame_are_as_the_datasheet_has_them()
    {
        _device.Sends = false;
        using IgbPort port = new(_device);
        Assert.True(port.TrySend(Frame(100, 1)));

        ulong ring = (ulong)_device[0xe004] << 32 | _device[0xe000];
        byte[] descriptor = _device.ReadMemory(ring, 16);
        Assert.Equal(Frame(100, 1), _device.ReadMemory(BitConverter.ToUInt64(descriptor, 0), 100));

        // DTALEN 100, DTYP 3, DCMD with EOP, IFCS, RS and DEXT; PAYLEN 100.
        Assert.Equal(0x2b30_0064u, BitConverter.ToUInt32(descriptor, 8));
        Assert.Equal(100u << 14, BitConverter.ToUInt32(descriptor, 12));
    }

    [Fact]
    public void A_short_frame_is_filled_up_with_zeros()
    {
        using IgbPort port = new(_device);
        EthernetFrame[] one = new EthernetFrame[1];
        Assert.Equal(1, port.Take(one));
        port.Buffers.Write(one[0], 0, Frame(60, 0xaa));
        one[0] = one[0] with { Length = 42 };
        Assert.Equal(1, port.Transmit(one));

        byte[] sent = Assert.Single(_device.Sent);
        Assert.Equal(60, sent.Length);
        Assert.All(sent[42..], octet => Assert.Equal(0, octet));
    }

    [Fact]
    public void What_a_full_ring_cannot_take_stays_the_callers()
    {
        _device.Sends = false;
        using IgbPort port = new(_device, new IgbOptions { ReceiveEntries = 64, TransmitEntries = 64, SpareBuffers = 100 });
        EthernetFrame[] frames = new EthernetFrame[100];
        Assert.Equal(100, port.Take(frames));
        frames = [.. frames.Select(frame => frame with { Length = 60 })];

        Assert.Equal(63, port.Transmit(frames));
        Assert.Equal(0, port.Transmit(frames.AsSpan(63)));
        _device.Complete();
        Assert.Equal(37, port.Transmit(frames.AsSpan(63)));
        _device.Complete();
        Assert.Equal(100, _device.Sent.Count);
    }

    [Fact]
    public void Many_more_frames_than_the_ring_has_entries_go_round_it()
    {
        using IgbPort port = new(_device, new IgbOptions { ReceiveEntries = 64, TransmitEntries = 64, SpareBuffers = 0 });
        EthernetFrame[] frames = new EthernetFrame[7];
        byte[] bytes = new byte[2048];
        for (int i = 0; i < 500; i++)
        {
            for (int j = 0; j < 5; j++)
                Assert.True(_device.Deliver(Frame(60 + j, (byte)i)));
            Assert.Equal(5, port.Receive(frames));
            Assert.Equal(Frame(64, (byte)i), port.Buffers.Read(frames[4], bytes));
            Assert.Equal(5, port.Transmit(frames.AsSpan(0, 5)));
        }

        Assert.Equal(2500, _device.Sent.Count);
        Assert.Equal(Frame(62, 7), _device.Sent[(7 * 5) + 2]);
    }

    [Fact]
    public void A_frame_that_the_caller_does_not_own_is_refused_and_nothing_is_sent()
    {
        using IgbPort port = new(_device);
        EthernetFrame[] two = new EthernetFrame[2];
        Assert.Equal(2, port.Take(two));
        EthernetFrame good = two[0] with { Length = 60 };
        _device.Writes.Clear();

        Assert.Throws<ArgumentException>(() => port.Transmit([good, good]));
        Assert.Throws<ArgumentException>(() => port.Transmit([good, new EthernetFrame(port.Buffers.Count, 60)]));
        Assert.Throws<ArgumentException>(() => port.Return([new EthernetFrame(-1, 60)]));
        Assert.Empty(_device.Writes);
        Assert.Equal(1, port.Transmit([good]));
        Assert.Throws<ArgumentException>(() => port.Transmit([good]));
    }

    [Theory]
    [InlineData(13)]
    [InlineData(1519)]
    [InlineData(-1)]
    public void A_frame_of_no_possible_length_is_refused(int length)
    {
        using IgbPort port = new(_device);
        EthernetFrame[] one = new EthernetFrame[1];
        Assert.Equal(1, port.Take(one));

        Assert.Throws<ArgumentOutOfRangeException>(() => port.Transmit([one[0] with { Length = length }]));
        port.Return(one);
    }

    [Fact]
    public void A_frame_with_an_error_and_one_over_two_buffers_are_dropped()
    {
        using IgbPort port = new(_device);
        EthernetFrame[] frames = new EthernetFrame[8];
        Assert.True(_device.Deliver(Frame(64, 1), status: 0x8000_0003));
        Assert.True(_device.Deliver(Frame(2048, 2), status: 1));
        Assert.True(_device.Deliver(Frame(100, 2)));
        Assert.True(_device.Deliver(Frame(64, 3)));

        Assert.Equal(1, port.Receive(frames));
        Assert.Equal(Frame(64, 3), port.Buffers.Read(frames[0], new byte[64]));
    }

    [Fact]
    public void A_length_beyond_the_buffer_is_a_protocol_error()
    {
        using IgbPort port = new(_device);
        EthernetFrame[] frames = new EthernetFrame[8];
        Assert.True(_device.Deliver(Frame(64, 1), length: 2049));
        Assert.True(_device.Deliver(Frame(64, 2)));

        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(() => port.Receive(frames)).Errno);
        Assert.Equal(1, port.Receive(frames));
    }

    [Fact]
    public void With_all_buffers_kept_nothing_is_received_until_they_are_returned()
    {
        using IgbPort port = new(_device, new IgbOptions { ReceiveEntries = 64, TransmitEntries = 64, SpareBuffers = 0 });
        EthernetFrame[] kept = new EthernetFrame[128];
        int count = 0;
        while (_device.Deliver(Frame(64, 0)))
            count += port.Receive(kept.AsSpan(count));
        Assert.Equal(128, count);

        port.Return(kept);
        Assert.False(port.Wait(TimeSpan.Zero));
        Assert.True(_device.Deliver(Frame(64, 9)));
        Assert.True(port.Wait(TimeSpan.Zero));
        Assert.Equal(1, port.Receive(kept));
    }

    [Fact]
    public void Promiscuous_mode_is_UPE_and_MPE()
    {
        using IgbPort port = new(_device);
        port.IsPromiscuous = true;
        Assert.Equal(0x18u, _device[0x0100] & 0x18);
        port.IsPromiscuous = false;
        Assert.Equal(0u, _device[0x0100] & 0x18);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_frame_ends_the_wait_for_it(bool interrupts)
    {
        using IgbPort port = new(_device, new IgbOptions { Interrupts = interrupts });
        Assert.False(port.Wait(TimeSpan.FromMilliseconds(1)));

        Task<bool> waiting = Task.Run(() => port.Wait(HangGuard.Timeout));
        Assert.True(_device.Deliver(Frame(64, 1)));
        Assert.True(await waiting);
        Assert.Equal(1, port.Receive(new EthernetFrame[4]));

        Task asynchronous = port.WaitAsync().AsTask();
        Assert.True(_device.Deliver(Frame(64, 1)));
        await asynchronous.WaitAsync(HangGuard.Timeout);
    }

    [Fact]
    public void A_device_that_vanishes_ends_the_wait()
    {
        using IgbPort port = new(_device);
        _device.IsGone = true;

        VfioException error = Assert.Throws<VfioException>(() => port.Wait(HangGuard.Timeout));
        Assert.Equal(Errno.NoDevice, error.Errno);
        Assert.False(port.IsLinkUp);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_device_that_vanishes_ends_an_asynchronous_wait(bool interrupts)
    {
        using IgbPort port = new(_device, new IgbOptions { Interrupts = interrupts });
        Task waiting = port.WaitAsync().AsTask();
        Assert.False(waiting.IsCompleted);
        _device.IsGone = true;

        VfioException error = await Assert.ThrowsAsync<VfioException>(() => waiting.WaitAsync(HangGuard.Timeout));
        Assert.Equal(Errno.NoDevice, error.Errno);
        Assert.Contains("stand-in", error.Message);
    }

    [Fact]
    public void Many_short_waits_find_out_that_the_device_vanished_as_a_long_one_does()
    {
        using IgbPort port = new(_device);
        _device.IsGone = true;

        VfioException error = Assert.Throws<VfioException>(
            () => SpinWait.SpinUntil(() => port.Wait(TimeSpan.Zero), HangGuard.Timeout));
        Assert.Equal(Errno.NoDevice, error.Errno);
    }

    [Fact]
    public void A_device_whose_registers_read_as_zeros_is_removed_when_its_config_space_does_not_answer()
    {
        using IgbPort port = new(_device);
        _device[0xc028] = 0;
        _device.HasConfig = false;

        VfioException error = Assert.Throws<VfioException>(() => port.Wait(HangGuard.Timeout));
        Assert.Equal(Errno.NoDevice, error.Errno);
    }

    [Fact]
    public void A_device_that_was_reset_by_another_ends_the_wait()
    {
        using IgbPort port = new(_device);
        _device[0xc028] = 0;

        VfioException error = Assert.Throws<VfioException>(() => port.Wait(HangGuard.Timeout));
        Assert.Equal(Errno.ConnectionReset, error.Errno);
        Assert.Contains("open the port again", error.Message);
    }

    [Fact]
    public void Without_MSI_X_it_is_polled()
    {
        _device.Vectors = 0;
        using IgbPort port = new(_device);

        Assert.False(port.HasInterrupts);
        Assert.True(_device.Deliver(Frame(64, 1)));
        Assert.True(port.Wait(HangGuard.Timeout));
    }

    [Fact]
    public void Another_device_is_refused_and_released()
    {
        IgbStandIn other = new(0x1533);

        VfioException error = Assert.Throws<VfioException>(() => new IgbPort(other));
        Assert.Equal(Errno.NoDevice, error.Errno);
        Assert.True(other.IsDisposed);
    }

    [Fact]
    public void A_disposed_port_has_stopped_the_device()
    {
        IgbPort port = new(_device);
        _device.Writes.Clear();
        port.Dispose();

        Assert.Contains((0xc028u, 0u), _device.Writes);
        Assert.Contains((0xe028u, 0u), _device.Writes);
        Assert.Contains((0x0100u, 0u), _device.Writes);
        Assert.True(_device.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => port.Receive(new EthernetFrame[1]));
    }

    [Fact]
    public void Receiving_and_sending_allocate_nothing()
    {
        _device.IsLogging = _device.KeepsFrames = false;
        using IgbPort port = new(_device);
        EthernetFrame[] frames = new EthernetFrame[32];
        byte[] bytes = Frame(64, 1);

        Assert.Equal(0, Measure.Allocations(() =>
        {
            for (int i = 0; i < 32; i++)
                _device.Deliver(bytes);
            int count = port.Receive(frames);
            port.Transmit(frames.AsSpan(0, count));
            port.TrySend(bytes);
        }));
    }

    [Fact]
    public void Waiting_allocates_nothing()
    {
        _device.IsLogging = false;
        using IgbPort port = new(_device);
        EthernetFrame[] frames = new EthernetFrame[1];
        byte[] bytes = Frame(64, 1);

        Assert.Equal(0, Measure.Allocations(() =>
        {
            _device.Deliver(bytes);
            port.Wait(Timeout.InfiniteTimeSpan);
            port.Return(frames.AsSpan(0, port.Receive(frames)));
            port.Wait(TimeSpan.Zero);
        }));
    }

    private static byte[] Frame(int length, byte fill)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill(fill);
        return bytes;
    }
}
