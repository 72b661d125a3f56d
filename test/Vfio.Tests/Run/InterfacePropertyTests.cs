using Vfio.Tests.Fuzz.Targets;

namespace Vfio.Tests.Run;

/// <summary>Random programs, whose calls are nearly right: whatever they do, what they had is released in the end.</summary>
public sealed class InterfacePropertyTests
{
    private static readonly ulong[] Numbers =
    [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 0x1000, 0x2000, 0x3000, 0x8000, 0x10000, 0x11000, 0x12000, 0x20000, 0x2f000, 0xfee00000, 0x7fff_ffff, 0xffff_ffff,
        0xffff_ffff_f000, 0xffff_ffff_ffff_f000, ulong.MaxValue,
    ];

    // Number of the request, the sizes of its fields, and values that are right for the programs below.
    private static readonly (int Request, int[] Fields, ulong[] Right)[] Requests =
    [
        (1, [], []), (2, [], []), (3, [4, 4], [8, 0]), (4, [4], [4]), (5, [], []), (6, [], []), (7, [4, 4, 4, 4, 4, 4], [24, 0, 0, 0, 0, 0]),
        (8, [4, 4, 4, 4, 8, 8], [32, 0, 0, 0, 0, 0]), (9, [4, 4, 4, 4], [16, 0, 0, 0]), (10, [4, 4, 4, 4, 4, 4, 4], [28, 0x24, 0, 0, 1, 3, 0]), (11, [], []),
        (12, [4, 4, 4, 4, 8], [24, 0, 0, 0, 0]), (13, [4, 4, 8, 8, 8], [32, 3, 0x11000, 0x100000, 0x1000]),
        (14, [4, 4, 8, 8, 8, 8, 8], [56, 0, 0x100000, 0x1000, 0, 0, 0]), (17, [4, 4, 8, 8, 8, 8, 8], [56, 0x10001, 0, 0, 0, 0, 0]),
        (18, [4, 4, 4, 4, 8], [24, 0, 4, 0, 0]), (19, [4, 4, 4, 4], [16, 0, 2, 0]), (20, [4, 4, 4], [12, 0, 0]), (0x80 - 100, [4, 4], [8, 3]),
        (0x81 - 100, [4, 4, 4], [12, 0, 0]), (0x82 - 100, [4, 4, 4, 4, 8], [24, 2, 0, 0, 0]),
        (0x83 - 100, [4, 4, 4, 4, 8, 8, 8], [40, 6, 2, 2, 0x1000, 0, 0x100000]), (0x84 - 100, [4, 4, 4, 4, 8, 8], [32, 2, 2, 0, 0x12000, 0]),
        (0x85 - 100, [4, 4, 4, 4, 8, 8, 8], [40, 7, 2, 0, 0x11000, 0x1000, 0x100000]), (0x86 - 100, [4, 4, 8, 8], [24, 2, 0, ulong.MaxValue]),
        (0x87 - 100, [4, 4, 2, 2, 4, 8], [24, 1, 1, 0, 2, 0]), (0x88 - 100, [4, 4, 2, 2], [12, 2, 1, 0]),
        (0x89 - 100, [4, 4, 4, 4, 4, 4, 4, 4, 8, 4, 4], [48, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0]), (0x8a - 100, [4, 4, 4, 4, 8, 4, 4, 8], [40, 0, 1, 0, 0, 0, 0, 0]),
        (0x8b - 100, [4, 4, 4, 4], [16, 1, 3, 0]), (0x8c - 100, [4, 4, 4, 4, 8, 8, 8, 8], [48, 3, 0, 0, 0x100000, 0x1000, 0x1000, 0x13000]),
        (0x8f - 100, [4, 4, 4, 4, 8, 8, 8], [40, 7, 2, 3, 0, 0x1000, 0x200000]),
    ];

    [Fact]
    public void Whatever_a_program_asks_all_is_released_in_the_end()
    {
        HashSet<uint> done = [];
        for (int seed = 1; seed <= 1000; seed++)
        {
            try
            {
                InterfaceTarget.Run(Program(new Random(seed)), done);
            }
            catch (Exception failure)
            {
                Assert.Fail($"seed {seed}: {failure}");
            }
        }

        // Those programs get past the checks: of either interface they map memory, and set the device up.
        uint[] reached = [0x3b66, 0x3b68, 0x3b6a, 0x3b6b, 0x3b6c, 0x3b6d, 0x3b6e, 0x3b6f, 0x3b71, 0x3b72, 0x3b76, 0x3b77, 0x3b78, 0x3b81, 0x3b84, 0x3b85, 0x3b86];
        Assert.Empty(reached.Except(done).Select(number => $"0x{number:x}"));
    }

    private static byte[] Program(Random random)
    {
        List<byte> bytes = [];

        // By a group or by its own file, set up as a program would.
        byte[] name = [.. "0000:01:00.0\0"u8];
        bytes.AddRange(random.Next(2) == 0
            ? [0, 0, 0, 1, 2, 2, 4, 4, 4, 0, 0, 0, 2, 1, 2, 0x83, 1, 2, 3, 2, 2, 6, (byte)name.Length, .. name]
            : [0, 2, 0, 3, 2, 2, 18, 16, 16, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0x81 - 100, 12, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for (int i = 0; i < 60; i++)
        {
            int kind = random.Next(16);
            bytes.Add((byte)(kind < 13 ? 2 : kind - 13 == 2 ? 6 + random.Next(2) : kind - 13));
            bytes.Add((byte)random.Next(8));
            if (kind is 15)
            {
                bytes.AddRange(BitConverter.GetBytes((1UL << 48) | ((ulong)random.Next(10) << 40) | (Numbers[random.Next(Numbers.Length)] & 0xffff)));
                bytes.AddRange(BitConverter.GetBytes((uint)Numbers[random.Next(Numbers.Length)]));
                bytes.AddRange(BitConverter.GetBytes((uint)Numbers[random.Next(Numbers.Length)]));
            }
            else if (kind < 13)
            {
                Request(random, bytes);
            }
        }

        return [.. bytes];
    }

    private static void Request(Random random, List<byte> bytes)
    {
        (int request, int[] fields, ulong[] right) = Requests[random.Next(Requests.Length)];
        bool isRight = random.Next(2) == 0;
        int size = fields.Sum();
        bytes.Add((byte)request);
        bytes.Add((byte)(size == 0 ? 0x80 | random.Next(10) : size));
        if (size == 0)
        {
            bytes.AddRange(new byte[bytes[^1] & 0x7f]);
            return;
        }

        for (int i = 0; i < fields.Length; i++)
        {
            ulong value = isRight || (i == 0 && random.Next(8) > 0) ? right[i] : Numbers[random.Next(Numbers.Length)];
            bytes.AddRange(BitConverter.GetBytes(value)[..fields[i]]);
        }
    }
}
