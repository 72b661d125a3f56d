using System.Buffers.Binary;
using System.Numerics;
using Vfio.Pci;
using Vfio.Pci.Capabilities;

namespace Vfio.Tests.Guard;

/// <summary>Makes config spaces at random: sound ones, and ones whose capabilities overlap or run over the end.</summary>
internal static class RandomConfig
{
    public static byte[] Make(Random random, out ulong[] lengths)
    {
        byte[] config = new byte[random.Next(2) == 0 ? 256 : 4096];
        random.NextBytes(config);
        BinaryPrimitives.WriteUInt32LittleEndian(config, 0x11e81234);
        config[0x06] |= 0x10;
        config[0x0e] = 0;
        lengths = MakeBars(random, config);
        Link(random, config);
        return config;
    }

    /// <summary>Sizes that a config space of a real function allows: each BAR as large as its address is aligned, at most 1 MiB.</summary>
    public static ulong[] GuessLengths(ConfigSpace space)
    {
        ulong[] lengths = new ulong[7];
        for (int bar = 0; bar < 6; bar++)
        {
            uint value = space.Read32(0x10 + (4 * bar));
            uint address = value & ((value & 1) != 0 ? ~3u : ~0xfu);
            if (address != 0)
                lengths[bar] = Math.Min(1u << 20, 1u << BitOperations.TrailingZeroCount(address));
            if ((value & 7) == 4)
                bar++;
        }

        return lengths;
    }

    private static ulong[] MakeBars(Random random, byte[] config)
    {
        ulong[] lengths = new ulong[7];
        for (int bar = 0; bar < 6; bar++)
        {
            int kind = random.Next(4);
            Span<byte> register = config.AsSpan(0x10 + (4 * bar));
            uint type = kind switch { 1 => 0u, 2 => 1u, 3 when bar < 5 => random.Next(2) == 0 ? 4u : 0xcu, _ => 0u };
            BinaryPrimitives.WriteUInt32LittleEndian(register, kind == 0 ? 0 : 0xfe000000 | type);
            if (kind != 0)
                lengths[bar] = 1UL << (type == 1 ? random.Next(2, 9) : (type & 4) != 0 ? random.Next(4, 40) : random.Next(4, 31));
            if ((type & 4) != 0)
                BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(0x10 + (4 * ++bar)), 0x38);
        }

        lengths[6] = random.Next(2) == 0 ? 0 : 1UL << random.Next(11, 20);
        BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(0x30), lengths[6] == 0 ? 0 : 0xfd000000);
        return lengths;
    }

    private static void Link(Random random, byte[] config)
    {
        CapabilityTable[] standard = [.. CapabilityCatalog.All.Where(table => !table.IsExtended)];
        CapabilityTable[] extended = [.. CapabilityCatalog.All.Where(table => table.IsExtended)];
        bool isSound = random.Next(3) != 0;
        int link = 0x34;
        int at = 0x40;
        config[link] = 0;
        while (random.Next(8) != 0)
        {
            CapabilityTable table = standard[random.Next(standard.Length)];
            if (isSound && at > 0xc0)
                break;
            if (!isSound)
                at = random.Next(0x10, 0x40) * 4;
            config[link] = (byte)at;
            config[at] = (byte)table.Id;
            config[at + 1] = 0;
            if (table.Id is 0x09)
                config[at + 2] = (byte)random.Next(3, 20);
            if (table.Id == 0x13)
                config[at + 3] |= 2;
            link = at + 1;
            at += (table.Layout(new CapabilityView(new ConfigSpace(config), at)).LengthBytes + 3) & ~3;
            at += 4 * random.Next(3);
        }

        if (config.Length < 4096)
            return;
        int extendedLink = -1;
        at = 0x100;
        BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(at), 0);
        while (at < 0xf00 && random.Next(10) != 0)
        {
            CapabilityTable table = extended[random.Next(extended.Length)];
            BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(at), table.Id | (uint)random.Next(1, 4) << 16);
            if (extendedLink >= 0)
                config[extendedLink + 2] = (byte)((config[extendedLink + 2] & 0xf) | (at & 0xf) << 4);
            if (extendedLink >= 0)
                config[extendedLink + 3] = (byte)(at >> 4);
            extendedLink = at;
            int length = table.Layout(new CapabilityView(new ConfigSpace(config), at)).LengthBytes;
            at += isSound || extendedLink == 0x100 ? Math.Min(0xe00, (length + 3) & ~3) : 4 * random.Next(1, 20);
        }
    }
}
