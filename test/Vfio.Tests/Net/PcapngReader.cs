using System.Buffers.Binary;

namespace Vfio.Tests.Net;

/// <summary>Reads pcapng block by block, strictly, as draft-ietf-opsawg-pcapng has it; little-endian sections only.</summary>
internal static class PcapngReader
{
    internal static List<Block> Read(ReadOnlySpan<byte> file)
    {
        List<Block> blocks = [];
        while (file.Length > 0)
        {
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(file);
            int length = BinaryPrimitives.ReadInt32LittleEndian(file[4..]);
            Assert.True(length >= 12 && length % 4 == 0 && length <= file.Length, $"block of {length} bytes");
            Assert.Equal(length, BinaryPrimitives.ReadInt32LittleEndian(file[(length - 4)..]));
            byte[] body = file[8..(length - 4)].ToArray();
            int options = type switch
            {
                0x0a0d0d0a => 16,
                1 => 8,
                5 => 12,
                6 => 20 + ((BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(12)) + 3) / 4 * 4),
                _ => throw new InvalidDataException($"block type 0x{type:x}"),
            };
            blocks.Add(new Block(type, body, ReadOptions(body.AsSpan(options))));
            file = file[length..];
        }

        return blocks;
    }

    private static Dictionary<int, byte[]> ReadOptions(ReadOnlySpan<byte> bytes)
    {
        Dictionary<int, byte[]> options = [];
        while (true)
        {
            int code = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            int length = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
            bytes = bytes[4..];
            if (code == 0)
            {
                Assert.Equal((0, 0), (length, bytes.Length));
                return options;
            }

            options.Add(code, bytes[..length].ToArray());
            int padded = (length + 3) / 4 * 4;
            Assert.Equal(-1, bytes[length..padded].IndexOfAnyExcept((byte)0));
            bytes = bytes[padded..];
        }
    }

    internal sealed record Block(uint Type, byte[] Body, Dictionary<int, byte[]> Options)
    {
        internal uint Number(int at) => BinaryPrimitives.ReadUInt32LittleEndian(Body.AsSpan(at));

        /// <summary>The time of a packet or of statistics: upper half first.</summary>
        internal ulong Time => ((ulong)Number(4) << 32) | Number(8);

        /// <summary>The bytes of a packet.</summary>
        internal byte[] Packet => Body[20..(20 + (int)Number(12))];

        internal string Text(int option) => System.Text.Encoding.UTF8.GetString(Options[option]);
    }
}
