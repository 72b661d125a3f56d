using System.Buffers;
using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using Vfio.Devices.Edu;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>The function around the core: config space as QEMU's has it, threads, pin and messages, the bus.</summary>
public sealed class EduFunctionTests : IDisposable
{
    private const int MsiEnable = 0x10000;
    private readonly WaitingSlot _slot = new();
    private readonly EduFunction _edu = new();

    public EduFunctionTests()
    {
        _edu.Connect(_slot);
        _edu.WriteConfig(0x04, 2, 0x0006);
    }

    public void Dispose() => _edu.Dispose();

    [Fact]
    public void Config_space_is_that_of_qemus_device()
    {
        Assert.Equal(0x11e81234u, _edu.ReadConfig(0x00, 4));
        Assert.Equal(0x00ff0010u, _edu.ReadConfig(0x08, 4));
        Assert.Equal(0x11001af4u, _edu.ReadConfig(0x2c, 4));
        Assert.Equal(1u, _edu.ReadConfig(0x3d, 1));
        Assert.Equal(0x100000ul, _edu.GetLength(RegionIndex.Bar0));
        uint msi = _edu.ReadConfig(0x34, 1);
        Assert.Equal(0x0080_0005u, _edu.ReadConfig((int)msi, 4)); // id 5, the last, 64-bit, 1 vector, no masks
    }

    [Fact]
    public void A_factorial_by_the_pin_goes_up_and_stays_until_it_is_acknowledged()
    {
        Write(0x20, 0x80);
        Write(0x08, 10);
        _slot.WaitFor("pin up");
        Assert.Equal(3628800u, Read(0x08));
        Assert.Equal(1u, Read(0x24));

        Write(0x60, 0x10);
        Write(0x64, 0x01);
        Assert.True(_slot.Pin);
        Write(0x64, 0x10);
        Assert.False(_slot.Pin);
    }

    [Fact]
    public void With_msi_every_cause_sends_a_message_and_the_pin_stays_down()
    {
        int msi = (int)_edu.ReadConfig(0x34, 1);
        _edu.WriteConfig(msi, 4, MsiEnable);
        Write(0x60, 1);
        Write(0x60, 1);

        Assert.Equal(["MSI 0", "MSI 0"], _slot.Seen);
        Assert.False(_slot.Pin);
    }

    [Fact]
    public void Dma_moves_bytes_there_and_back()
    {
        byte[] sent = [.. Enumerable.Range(0, 100).Select(i => (byte)(i * 7))];
        sent.CopyTo(_slot.Memory, 0x100);
        Move(source: 0x100, destination: 0x40000, count: 100, command: 1);
        Move(source: 0x40000, destination: 0x800, count: 100, command: 3);

        Assert.Equal(sent, _slot.Memory[0x800..(0x800 + 100)]);
    }

    [Theory]
    [InlineData(0x8000_0000ul, 0x40000ul, 16, 1)] // 28 bits are left of it: address 0
    [InlineData(0x0fff_0000ul, 0x40000ul, 16, 1)]
    [InlineData(0x40000ul, 0x0fff_0000ul, 16, 3)]
    [InlineData(0x40ff8ul, 0x100ul, 16, 3)]
    [InlineData(0x100ul, 0x3fff8ul, 16, 1)]
    [InlineData(0x100ul, 0x40000ul, 0x1001, 1)]
    public void A_transfer_that_cannot_be_done_ends_and_has_no_effect(ulong source, ulong destination, int count, uint command)
    {
        Array.Fill(_slot.Memory, (byte)0xaa);
        Move(source: 0x100, destination: 0x40000, count: 0x1000, command: 1);
        Array.Fill(_slot.Memory, (byte)0x55);
        if (source == 0x8000_0000)
            _slot.Memory.AsSpan(0, count).Fill(0xaa);
        Move(source, destination, count, command);

        byte[] expected = [.. _slot.Memory];
        Move(source: 0x40000, destination: 0x1000, count: 0x1000, command: 3);
        Assert.All(_slot.Memory[0x1000..0x2000], value => Assert.Equal(0xaa, value));
        Assert.Equal(expected[..0x1000], _slot.Memory[..0x1000]);
    }

    [Fact]
    public async Task A_reset_waits_for_the_transfer_under_way_and_leaves_nothing_of_it()
    {
        using ManualResetEventSlim entered = new();
        using ManualResetEventSlim leave = new();
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        Start(source: 0x100, destination: 0x40000, count: 16, command: 5);
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));

        Task reset = Task.Run(() => _edu.Reset(ResetMethod.DeviceSpecific));
        _slot.WaitUntil(() => Read(0x98) == 0);
        Assert.False(reset.IsCompleted);
        leave.Set();
        await reset.WaitAsync(WaitingSlot.TestTimeout);

        Assert.Equal([0, 0, 0, 0, 0], new ulong[] { 0x24, 0x80, 0x88, 0x90, 0x98 }.Select(Read));
        Assert.False(_slot.Pin);
        Assert.Empty(_slot.Seen);
    }

    [Fact]
    public async Task A_stop_lets_the_transfer_under_way_end_and_keeps_what_was_asked_for_since()
    {
        IMigratableFunction edu = _edu;
        using ManualResetEventSlim entered = new();
        using ManualResetEventSlim leave = new();
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        _slot.Memory[0x100] = 42;
        Start(source: 0x100, destination: 0x40000, count: 16, command: 1);
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));
        Write(0x08, 6);
        Task stop = Task.Run(edu.Stop);
        Assert.False(stop.IsCompleted);
        leave.Set();
        await stop.WaitAsync(WaitingSlot.TestTimeout);
        _slot.OnRead = null;

        Assert.Equal(0u, Read(0x98) & 1);
        bool isKept = (Read(0x20) & 1) != 0;
        Start(source: 0x40000, destination: 0x800, count: 16, command: 3);
        Assert.Equal(1u, Read(0x98) & 1);
        Assert.Equal(0, _slot.Memory[0x800]);
        Assert.Equal(isKept ? 6u : 720u, Read(0x08));

        edu.Start();
        _slot.WaitUntil(() => Read(0x98) == 2 && Read(0x08) == 720);
        Assert.Equal(42, _slot.Memory[0x800]);
    }

    [Fact]
    public void A_stopped_device_does_nothing_and_its_commands_are_done_where_its_state_is_restored()
    {
        IMigratableFunction edu = _edu;
        edu.Stop();
        Write(0x20, 0x80);
        Write(0x08, 10);
        Start(source: 0x100, destination: 0x40000, count: 16, command: 5);
        ArrayBufferWriter<byte> state = new();
        edu.Save(state);
        Assert.Equal(10u, Read(0x08));
        Assert.Empty(_slot.Seen);

        WaitingSlot slot = new();
        using EduFunction other = new();
        other.Connect(slot);
        ((IMigratableFunction)other).Stop();
        Assert.True(((IMigratableFunction)other).TryRestore(state.WrittenSpan));
        ((IMigratableFunction)other).Start();
        slot.WaitFor("pin up");
        byte[] read = new byte[4];
        slot.WaitUntil(() =>
        {
            other.ReadRegion(RegionIndex.Bar0, 0x24, read);
            return read[0] == 1 && read[1] == 1;
        });
        other.ReadRegion(RegionIndex.Bar0, 0x08, read);
        Assert.Equal(3628800u, BinaryPrimitives.ReadUInt32LittleEndian(read));
        Assert.Equal(10u, Read(0x08));
    }

    [Fact]
    public void A_forged_state_is_restored_only_when_every_register_could_have_its_value() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(
            Gen.Choose(0, 10).Zip(Gen.Choose(0, 63)).ToArbitrary(),
            flip =>
            {
                IMigratableFunction edu = _edu;
                _edu.Reset(ResetMethod.DeviceSpecific);
                edu.Stop();
                ArrayBufferWriter<byte> writer = new();
                edu.Save(writer);
                byte[] state = writer.WrittenSpan.ToArray();
                int registers = state.Length - EduCore.BufferLength - (11 * 8);
                state[registers + (8 * flip.Item1) + (flip.Item2 >> 3)] ^= (byte)(1 << (flip.Item2 & 7));

                // Identification, Liveness, Factorial, Status, InterruptStatus, Raise, Acknowledge, and the wide ones.
                ulong[] possible = [0, uint.MaxValue, uint.MaxValue, 0x81, uint.MaxValue, 0, 0, ~0ul, ~0ul, ~0ul, ~0ul];
                Assert.Equal((possible[flip.Item1] >> flip.Item2 & 1) != 0, edu.TryRestore(state));
                Assert.False(edu.TryRestore(state.AsSpan(1)));
                Assert.False(edu.TryRestore([.. state, 0]));
                _edu.Reset(ResetMethod.DeviceSpecific);
                edu.Start();
            }));

    [Fact]
    public void A_reset_takes_the_pin_down()
    {
        Write(0x60, 1);
        Assert.True(_slot.Pin);
        Assert.Equal(Errno.None, _edu.Reset(ResetMethod.DeviceSpecific));
        Assert.False(_slot.Pin);
        Assert.Equal(0u, Read(0x24));
    }

    [Fact]
    public void When_raise_and_acknowledge_race_the_pin_ends_as_the_register_says()
    {
        for (int i = 0; i < 500; i++)
        {
            Write(0x20, 0x80);
            Write(0x08, 5);
            SpinWait spin = default;
            while ((Read(0x20) & 1) != 0)
                spin.SpinOnce();
            Write(0x64, 0xffffffff);
            _slot.WaitUntil(() => _slot.Pin == (Read(0x24) != 0));
            Write(0x64, 0xffffffff);
            _slot.WaitUntil(() => !_slot.Pin);
        }
    }

    [Fact]
    public void An_access_of_any_width_and_place_ends()
    {
        byte[] buffer = new byte[64];
        for (int offset = 0; offset < 0xa8; offset++)
        {
            for (int count = 1; count <= 24; count++)
                _edu.ReadRegion(RegionIndex.Bar0, (ulong)offset, buffer.AsSpan(0, count));
        }

        _edu.ReadRegion(RegionIndex.Bar0, 0, buffer.AsSpan(0, 24));
        Assert.All(buffer[..24], value => Assert.Equal(0xff, value)); // three accesses of 8 bytes, below 0x80
        _edu.ReadRegion(RegionIndex.Bar0, 0, buffer.AsSpan(0, 4));
        Assert.Equal([0xed, 0x00, 0x00, 0x01], buffer[..4]);
    }

    [Fact]
    public void Register_accesses_allocate_nothing()
    {
        byte[] value = [1, 0, 0, 0];
        _slot.IsRecording = false;
        Assert.Equal(0, Measure.Allocations(() =>
        {
            _edu.WriteRegion(RegionIndex.Bar0, 0x04, value);
            _edu.ReadRegion(RegionIndex.Bar0, 0x04, value);
            _edu.WriteRegion(RegionIndex.Bar0, 0x60, value);
            _edu.WriteRegion(RegionIndex.Bar0, 0x64, value);
        }));
    }

    private uint Read(ulong offset)
    {
        Span<byte> bytes = stackalloc byte[4];
        _edu.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private void Write(ulong offset, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _edu.WriteRegion(RegionIndex.Bar0, offset, bytes);
    }

    private void Write64(ulong offset, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _edu.WriteRegion(RegionIndex.Bar0, offset, bytes);
    }

    private void Start(ulong source, ulong destination, int count, uint command)
    {
        Write64(0x80, source);
        Write64(0x88, destination);
        Write64(0x90, (ulong)count);
        Write(0x98, command);
    }

    private void Move(ulong source, ulong destination, int count, uint command)
    {
        Start(source, destination, count, command);
        _slot.WaitUntil(() => (Read(0x98) & 1) == 0);
    }
}
