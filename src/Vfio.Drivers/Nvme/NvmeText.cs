using System.Runtime.CompilerServices;
using System.Text;

namespace Vfio.Drivers.Nvme;

/// <summary>SN of Identify Controller: 20 bytes of ASCII, filled up with spaces.</summary>
[InlineArray(20)]
internal struct NvmeText20
{
    private byte _first;
}

/// <summary>MN of Identify Controller: 40 bytes of ASCII, filled up with spaces.</summary>
[InlineArray(40)]
internal struct NvmeText40
{
    private byte _first;
}

/// <summary>FR of Identify Controller: 8 bytes of ASCII, filled up with spaces.</summary>
[InlineArray(8)]
internal struct NvmeText8
{
    private byte _first;
}

/// <summary>Text as controllers have it.</summary>
internal static class NvmeText
{
    /// <summary>The text without what fills it up; what is no printable ASCII becomes a question mark, so that no
    /// terminal acts on it.</summary>
    internal static string Read(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        foreach (byte each in bytes.Trim(" \0"u8))
            text.Append(each is >= 0x20 and <= 0x7e ? (char)each : '?');
        return text.ToString();
    }
}
