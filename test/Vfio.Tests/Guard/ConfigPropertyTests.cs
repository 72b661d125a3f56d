using Vfio.Pci;
using Vfio.Pci.Dumps;

namespace Vfio.Tests.Guard;

/// <summary>No sequence of user writes changes a bit of the hardware that its table does not let the user change, and every read
/// equals what the table says.</summary>
public sealed class ConfigPropertyTests
{
    private const int SpacesARow = 40;
    private const int WritesASpace = 300;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Of_config_spaces_made_at_random(int row)
    {
        for (int i = 0; i < SpacesARow; i++)
        {
            int seed = (1000 * row) + i;
            Random random = new(seed);
            byte[] config = RandomConfig.Make(random, out ulong[] lengths);
            Check(random, config, lengths, $"seed {seed}");
        }
    }

    [Fact]
    public void Of_real_functions()
    {
        Random random = new(1);
        int functions = 0;
        foreach (string file in Directory.EnumerateFiles(Repository.PathOf("test", "Vfio.Tests", "data"), "*.lspci"))
        {
            using StreamReader text = File.OpenText(file);
            foreach (DumpedFunction function in LspciDump.Parse(text))
            {
                if (function.Space.HeaderType != 0)
                    continue;
                Check(random, function.Space.Bytes.ToArray(), RandomConfig.GuessLengths(function.Space), $"{file} {function.Address}");
                functions++;
            }
        }

        Assert.NotEqual(0, functions);
    }

    private static void Check(Random random, byte[] config, ulong[] lengths, string what)
    {
        using ConfigRun run = new(config, lengths);
        Assert.Null(run.Read(0, config.Length));
        for (int step = 0; step < WritesASpace; step++)
        {
            int length = random.Next(6) switch { 0 => 1, 1 => 2, 2 => 4, 3 => 8, 4 => random.Next(1, 40), _ => 4 };
            int offset = PickOffset(random, config.Length, length);
            byte[] bytes = new byte[length];
            if (random.Next(3) != 0)
                random.NextBytes(bytes);
            else
                Array.Fill(bytes, random.Next(2) == 0 ? (byte)0xff : (byte)0);
            int readLength = random.Next(1, 24);
            string? difference = run.Write(offset, bytes) ?? run.Read(random.Next(0, config.Length - readLength), readLength);
            if (difference is not null)
                Assert.Fail($"{what}, step {step}: {Convert.ToHexString(bytes)} at 0x{offset:x}: {difference}");
        }
    }

    /// <remarks>Half of all writes go to the first 256 bytes, and most of those to where they hurt.</remarks>
    private static int PickOffset(Random random, int size, int length)
    {
        int end = random.Next(2) == 0 ? Math.Min(256, size) : size;
        return Math.Min(size - length, random.Next(3) == 0 ? random.Next(end) : random.Next(end) & ~3);
    }
}
