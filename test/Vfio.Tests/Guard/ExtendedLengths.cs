namespace Vfio.Tests.Guard;

/// <summary>Sizes of extended capabilities, in bytes with their headers: PCI Express Base 6.0, sections 7.7 to 7.9 and 9.3.3.</summary>
internal static class ExtendedLengths
{
    public static int Of(FactView view) => view.Id switch
    {
        0x00 => 4,
        0x01 => Errors(view),
        0x02 or 0x08 or 0x09 => VirtualChannels(view),
        0x03 or 0x06 or 0x1f or 0x22 or 0x25 => 12,
        0x04 or 0x13 or 0x21 or 0x29 or 0x2f => 16,
        0x05 => 16 + (16 * view.Read8(5)),
        0x07 => (view.Read32(0) >> 16 & 0xf) < 2 ? 8 : 12,
        0x0a or 0x2c or 0x37 => 20,
        0x0b => Math.Max(8, (int)(view.Read32(4) >> 20)),
        0x0c or 0x0e or 0x0f or 0x18 or 0x1b or 0x1c => 8,
        0x0d => 8 + (4 * ((EgressBits(view) + 31) / 32)),
        0x10 => 64,
        0x12 => view.PortType is 0 or 9 ? 0x28 : 0x30,
        0x15 or 0x24 => 4 + (8 * Math.Clamp((int)(view.Read32(8) >> 5 & 7), 1, 6)),
        0x16 => 16 + (view.Read8(4) & 0x1f) + 1,
        0x17 => 12 + (2 * SteeringTags(view)),
        0x19 => 12 + (2 * Lanes(view)),
        0x1a => 16 + (4 * (view.Read8(4) & 0x3f)),
        0x1d => (view.Read16(4) & 0x20) == 0 ? 12 : 0x20 + (4 * (view.Read16(4) >> 8 & 0xf)),
        0x1e => (view.Read8(4) & 0x20) != 0 ? 20 : 16,
        0x23 => Math.Max(10, (int)(view.Read32(4) >> 20)),
        0x26 or 0x2a => 0x20 + Lanes(view),
        0x27 => 8 + (4 * Lanes(view)),
        0x28 => 32,
        0x2b => (view.Read16(4) & 0x100) != 0 ? 24 : 20,
        0x2d => 28,
        0x2e => 24,
        0x30 => Encryption(view),
        0x31 => 16 + Lanes(view),
        0x32 => 60,
        0x33 or 0x34 => 36,
        0x35 => 20 + (12 * ((view.Read8(4) & 7) + 1)),
        0x36 => Math.Max(8, (view.Read16(4) & 0xfff) / 8 * 8),
        _ => 0,
    };

    private static int Errors(FactView view)
    {
        bool logsPrefixes = (view.Express32(0) >> 16 & 0xf) >= 2 && (view.Express32(0x24) & 1 << 21) != 0;
        return logsPrefixes ? 0x48 : view.PortType is 4 or 10 ? 0x38 : 0x2c;
    }

    private static int EgressBits(FactView view)
    {
        int caps = view.Read16(4);
        return (caps & 0x20) == 0 ? 0 : caps >> 8 is var bits and not 0 ? bits : 256;
    }

    private static int SteeringTags(FactView view) =>
        (view.Read32(4) >> 9 & 3) == 1 ? Math.Min((view.Read16(6) & 0x7ff) + 1, 64) : 0;

    private static int Lanes(FactView view) => view.ExpressStart < 0 ? 1 : Math.Clamp((int)(view.Express32(0x0c) >> 4 & 0x3f), 1, 32);

    private static int Encryption(FactView view)
    {
        uint caps = view.Read32(4);
        int at = 12 + ((caps & 1) != 0 ? 8 * ((int)(caps >> 13 & 7) + 1) : 0);
        int streams = (caps & 2) != 0 ? (int)(caps >> 16 & 0xff) + 1 : 0;
        for (; streams > 0 && view.Start + at < 4096; streams--)
            at += 20 + (12 * (view.Read8(at) & 0xf));
        return at;
    }

    // A table of arbitration that would lie over registers, or over another table, is not one.
    private static int VirtualChannels(FactView view)
    {
        int channels = (view.Read8(4) & 7) + 1;
        int entryBits = 1 << (view.Read8(5) >> 2 & 3);
        int length = 16 + (12 * channels);
        List<int> taken = [4, 8, 12, 14, .. Enumerable.Range(0, channels).SelectMany(i => (int[])[16 + (12 * i), 20 + (12 * i), 26 + (12 * i)])];
        Add(view.Read8(11), 4 * Phases(view.Read8(8) & 0xf));
        for (int i = 0; i < channels; i++)
            Add(view.Read8(19 + (12 * i)), entryBits * Phases(view.Read8(16 + (12 * i)) & 0x3f));
        return length;

        static int Phases(int supported) =>
            supported >= 0x20 ? 256 : supported >= 0x08 ? 128 : supported >= 0x04 ? 64 : supported >= 0x02 ? 32 : 0;

        void Add(int sixteens, int bits)
        {
            int start = 16 * sixteens;
            int end = start + (bits / 8);
            if (start == 0 || taken.Exists(at => at >= start - 3 && at < end))
                return;
            for (int at = start; at + 4 <= end; at += 4)
                taken.Add(at);
            length = Math.Max(length, end);
        }
    }
}
