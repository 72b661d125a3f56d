namespace Vfio.Native.Errors;

/// <summary>Which offsets an access may have, in the words of an error.</summary>
internal static class AllowedOffsets
{
    /// <summary>For example <c>0x0 to 0xffc in multiples of 4 do</c>.</summary>
    /// <param name="bytes">How many bytes are accessed.</param>
    /// <param name="length">How many there are.</param>
    /// <param name="alignment">What an offset is a multiple of.</param>
    internal static string For(long bytes, long length, long alignment = 1)
    {
        if (bytes < 0 || bytes > length)
            return "it is longer than that";
        string range = $"offsets of 0x0 to 0x{(length - bytes) & -alignment:x}";
        return alignment > 1 ? $"{range} in multiples of {alignment} do" : $"{range} do";
    }
}
