namespace Vfio.Guard.Config;

/// <summary>The virtual bits of config space: the user reads and writes them here, and the hardware is not accessed.</summary>
internal sealed class ConfigShadow(int length)
{
    private readonly byte[] _bytes = new byte[length];

    internal uint Read(int offset, int width)
    {
        uint value = 0;
        for (int i = 0; i < width; i++)
            value |= (uint)_bytes[offset + i] << (8 * i);
        return value;
    }

    internal void Write(int offset, int width, uint value)
    {
        for (int i = 0; i < width; i++)
            _bytes[offset + i] = (byte)(value >> (8 * i));
    }

    internal bool ReadBit(int offset, int bit) => (_bytes[offset + (bit >> 3)] >> (bit & 7) & 1) != 0;
}
