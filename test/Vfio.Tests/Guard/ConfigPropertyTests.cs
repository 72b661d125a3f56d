using Vfio.Guard;
using Vfio.Pci;
using Xunit;

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
        ConfigModel rules = new(new ConfigSpace(config), lengths);
        RamFunction hardware = new([.. config], lengths, rules.StatusBits);
        using GuardedFunction function = new(hardware);
        using IVfioDevice device = function.Open();
        hardware.KeepAsReset();
        ConfigModel model = rules.Lend(hardware.Config);
        int resets = hardware.Resets.Count;
        CheckRead(device, model, 0, config.Length, what);
        for (int step = 0; step < WritesASpace; step++)
        {
            int length = random.Next(6) switch { 0 => 1, 1 => 2, 2 => 4, 3 => 8, 4 => random.Next(1, 40), _ => 4 };
            int offset = PickOffset(random, config.Length, length);
            byte[] bytes = new byte[length];
            if (random.Next(3) != 0)
                random.NextBytes(bytes);
            else
                Array.Fill(bytes, random.Next(2) == 0 ? (byte)0xff : (byte)0);
            string where = $"{what}, step {step}: {Convert.ToHexString(bytes)} at 0x{offset:x}";
            hardware.Log.Clear();
            device.WriteRegion(RegionIndex.Config, (ulong)offset, bytes);
            WriteByParts(model, offset, bytes);
            if (!hardware.Config.SequenceEqual(model.Hardware))
            {
                int at = hardware.Config.CommonPrefixLength(model.Hardware);
                string log = string.Join(", ", hardware.Log.Select(
                    entry => $"{(entry.IsWrite ? 'W' : 'R')}{entry.Width}@{entry.Offset:x}={entry.Value:x}"));
                Assert.Fail($"{where}: 0x{at:x} of the hardware is {hardware.Config[at]:x2}, not {model.Hardware[at]:x2}; {log}");
            }

            Assert.True(model.Resets == hardware.Resets.Count - resets, $"{where}: {hardware.Resets.Count - resets} resets");
            int readLength = random.Next(1, 24);
            CheckRead(device, model, random.Next(0, config.Length - readLength), readLength, where);
            CheckRead(device, model, offset, length, where);
        }
    }

    /// <remarks>Half of all writes go to the first 256 bytes, and most of those to where they hurt.</remarks>
    private static int PickOffset(Random random, int size, int length)
    {
        int end = random.Next(2) == 0 ? Math.Min(256, size) : size;
        return Math.Min(size - length, random.Next(3) == 0 ? random.Next(end) : random.Next(end) & ~3);
    }

    private static void WriteByParts(ConfigModel model, int offset, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int width = 4;
            while (offset % width != 0 || width > bytes.Length)
                width /= 2;
            model.Write(offset, bytes[..width]);
            bytes = bytes[width..];
            offset += width;
        }
    }

    private static void CheckRead(IVfioDevice device, ConfigModel model, int offset, int length, string where)
    {
        byte[] read = new byte[length];
        device.ReadRegion(RegionIndex.Config, (ulong)offset, read);
        for (int i = 0; i < length; i++)
        {
            if (read[i] != model.Read(offset + i))
                Assert.Fail($"{where}: 0x{offset + i:x} reads {read[i]:x2}, not {model.Read(offset + i):x2}");
        }
    }
}
