using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using Vfio.Guard;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Rules;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>Forged states: an errno, ERROR until a reset, and no bit of the hardware that the user may not change.</summary>
public sealed class StateStreamTests : IDisposable
{
    private readonly Moved _lease = new();
    private readonly byte[] _state;

    public StateStreamTests()
    {
        _lease.Write(4, 6);
        _state = DeviceState.Save(_lease.Device);
        _lease.Device.Reset();
    }

    public void Dispose() => _lease.Dispose();

    [Fact]
    public void Any_bytes_at_all_are_refused_and_a_reset_leads_out() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll<byte[]>(bytes =>
        {
            AssertRefused(bytes);
        }));

    [Fact]
    public void A_state_with_one_bit_flipped_is_refused() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(
            Gen.Choose(0, (8 * _state.Length) - 1).ToArbitrary(),
            bit =>
            {
                byte[] bytes = [.. _state];
                bytes[bit >> 3] ^= (byte)(1 << (bit & 7));
                AssertRefused(bytes);
            }));

    [Fact]
    public void A_state_that_is_truncated_or_too_long_is_refused() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(200),
        Prop.ForAll(
            Gen.Choose(0, _state.Length - 1).ToArbitrary(),
            length =>
            {
                AssertRefused(_state[..length]);
                AssertRefused([.. _state, .. _state[..Math.Min(length + 1, 100)]]);
            }));

    [Fact]
    public void Pieces_of_any_sizes_are_the_same_state() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(30),
        Prop.ForAll(
            Gen.Choose(1, 5000).ArrayOf().ToArbitrary(),
            sizes =>
            {
                _lease.Migration.SetMigrationState(MigrationState.Resuming);
                int at = 0;
                for (int i = 0; at < _state.Length; i++)
                {
                    int size = Math.Min(sizes.Length == 0 ? _state.Length : sizes[i % sizes.Length], _state.Length - at);
                    _lease.Migration.WriteMigrationData(_state.AsSpan(at, size));
                    at += size;
                }

                _lease.Migration.SetMigrationState(MigrationState.StopCopy);
                Assert.Equal(_state, DeviceState.Save(_lease.Device));
            }));

    [Theory]
    [InlineData(0u)]
    [InlineData(2u)]
    [InlineData(3u)]
    [InlineData(5u)]
    [InlineData(6u)]
    [InlineData(7u)]
    [InlineData(8u)]
    [InlineData(uint.MaxValue)]
    public void A_section_that_does_not_come_next_or_is_too_long_is_refused_at_its_header(uint kind)
    {
        _lease.Migration.SetMigrationState(MigrationState.Resuming);
        byte[] header = new byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, kind);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), 4096);
        Assert.Throws<VfioException>(() => _lease.Migration.WriteMigrationData(header));
    }

    [Fact]
    public void A_forged_config_space_changes_no_bit_that_the_user_may_not_change()
    {
        Random random = new(5);
        int express = _lease.Express;
        for (int round = 0; round < 200; round++)
        {
            RamFunction hardware = Hardware();
            using GuardedFunction guarded = new(new MovableHardware(hardware));
            using IVfioDevice device = guarded.Open();
            byte[] state = DeviceState.Save(device);
            hardware.KeepAsReset();
            byte[] before = [.. hardware.Config];
            int resets = hardware.Resets.Count;
            DeviceState.Restore(device, MakeUp(state, random));

            byte[] after = [.. hardware.Config];
            ConfigRules rules = guarded.Rules;
            for (int offset = 0; offset < after.Length; offset += 4)
            {
                uint changed = BinaryPrimitives.ReadUInt32LittleEndian(before.AsSpan(offset))
                    ^ BinaryPrimitives.ReadUInt32LittleEndian(after.AsSpan(offset));
                uint allowed = rules.Mask(BitRule.PassedThrough, offset, 4);

                // The size of read requests is virtual, and the guard brings it to the hardware.
                allowed |= offset == express + 8 ? 0x7000u : 0;
                Assert.True((changed & ~allowed) == 0, $"round {round}, offset 0x{offset:x}: {changed & ~allowed:x} changed");
            }

            Assert.Equal(resets + 1, hardware.Resets.Count); // the one that every restoring starts with
        }
    }

    private static RamFunction Hardware()
    {
        using MovableFunction model = new();
        model.Connect(new RecordingSlot());
        byte[] config = new byte[model.ConfigLength];
        for (int i = 0; i < config.Length; i += 4)
            BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(i), model.ReadConfig(i, 4));
        ulong[] lengths = [.. Enumerable.Range(0, 7).Select(i => model.GetLength(new RegionIndex((uint)i)))];
        return new RamFunction(config, lengths, new ConfigModel(new ConfigSpace(config), lengths).StatusBits);
    }

    /// <summary>Random bytes for config space, interrupts and table, with a checksum that is right.</summary>
    private static byte[] MakeUp(byte[] state, Random random)
    {
        byte[] made = [.. state];
        int at = 0;
        while (true)
        {
            uint kind = BinaryPrimitives.ReadUInt32LittleEndian(made.AsSpan(at));
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(made.AsSpan(at + 8));
            if (kind == 7)
                break;
            if (kind is 2 or 3 or 4 && random.Next(4) == 0)
                made.AsSpan(at + 16, length).Fill(0xff);
            else if (kind is 2 or 3 or 4)
                random.NextBytes(made.AsSpan(at + 16, length));
            at += 16 + length;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(made.AsSpan(at + 16), Castagnoli(made.AsSpan(0, at)));
        return made;
    }

    /// <summary>CRC-32C, bit by bit.</summary>
    private static uint Castagnoli(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f6_3b78u : 0);
        }

        return ~crc;
    }

    private void AssertRefused(byte[] bytes)
    {
        _lease.Migration.SetMigrationState(MigrationState.Resuming);
        VfioException? refusal = null;
        try
        {
            _lease.Migration.WriteMigrationData(bytes);
        }
        catch (VfioException early)
        {
            refusal = early;
        }

        VfioException late = Assert.Throws<VfioException>(() => _lease.Migration.SetMigrationState(MigrationState.Running));
        Assert.Equal(Errno.InvalidArgument, late.Errno);
        Assert.Equal(Errno.InvalidArgument, refusal?.Errno ?? Errno.InvalidArgument);
        Assert.Equal(MigrationState.Error, _lease.Migration.MigrationState);
        _lease.Device.Reset();
        Assert.Equal(MigrationState.Running, _lease.Migration.MigrationState);
    }
}
