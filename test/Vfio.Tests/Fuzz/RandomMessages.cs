using Vfio.Tests.User;

namespace Vfio.Tests.Fuzz;

/// <summary>Messages made at random that are nearly right.</summary>
internal static class RandomMessages
{
    private static readonly ulong[] Edges =
        [0, 1, 2, 3, 4, 8, 15, 16, 20, 24, 32, 0xfff, 0x1000, 0x1001, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 63, ulong.MaxValue];

    /// <summary>Makes one, with its header right.</summary>
    internal static byte[] Make(Random random)
    {
        ushort command = (ushort)(random.Next(10) == 0 ? random.Next(0, 22) : random.Next(1, 14));
        uint argsz = random.Next(8) == 0 ? (uint)Edge(random) : (uint)random.Next(16, 100);
        uint flags = random.Next(8) == 0 ? 0x10u : random.Next(60) == 0 ? (uint)random.Next(64) : 0;
        int length = random.Next(0, 300);
        object[] fields = command switch
        {
            1 => [(ushort)0, (ushort)1, "{\"capabilities\":{}}\0"],
            2 => [argsz, random.Next(1, 4), Page(random), Page(random), Page(random)],
            3 => [argsz, random.Next(8) == 0 ? random.Next(4) : 0, Page(random), Page(random)],
            4 or 7 => [argsz, 0, random.Next(6), 0],
            5 => [argsz, 0, random.Next(10), 0, 0ul, 0ul],
            8 => [argsz, (uint)((1 << random.Next(3)) | (8 << random.Next(3))), random.Next(6), random.Next(9), random.Next(9), new byte[random.Next(9)]],
            9 => [Offset(random), random.Next(10), (uint)Edge(random)],
            10 => [Offset(random), random.Next(10), random.Next(8) == 0 ? (uint)Edge(random) : (uint)length, Noise(random, length)],
            11 or 12 => [Page(random), (ulong)length, new byte[length]],
            _ => [],
        };
        return RawPeer.Message((ushort)random.Next(65536), command, flags, fields);
    }

    /// <summary>A number at which arithmetic goes wrong where it can.</summary>
    internal static ulong Edge(Random random) => Edges[random.Next(Edges.Length)];

    private static ulong Offset(Random random) => random.Next(4) switch
    {
        0 => FakeDevice.DmaGo,
        1 => Edge(random),
        _ => (ulong)random.Next(0, 4200),
    };

    private static ulong Page(Random random) => random.Next(6) == 0 ? Edge(random) : (ulong)random.Next(0, 16) * 0x1000;

    private static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        // Small numbers make addresses and lengths that the device's DMA can use.
        for (int i = 0; i < length; i++)
            bytes[i] = random.Next(8) == 0 ? (byte)random.Next(3) : (byte)0;
        return bytes;
    }
}
