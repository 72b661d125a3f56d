namespace Vfio.Pci.Capabilities;

/// <summary>Registers for bytes whose meaning is in no specification.</summary>
internal static class RawRegisters
{
    /// <summary>4-byte registers from one offset to another, then smaller ones for what is left.</summary>
    /// <param name="start">A multiple of 4.</param>
    /// <param name="end">Past the last byte.</param>
    /// <param name="rule">What the bytes are to the user.</param>
    internal static IEnumerable<Register> Between(int start, int end, BitRule rule)
    {
        int bytes;
        for (int offset = start; offset < end; offset += bytes)
        {
            bytes = (end - offset) switch
            {
                >= 4 => 4,
                >= 2 => 2,
                _ => 1,
            };
            yield return new Register(offset, bytes, $"Data{offset:x2}") { { "Data", (8 * bytes) - 1, 0, rule } };
        }
    }
}
