using System.Runtime.InteropServices;

namespace Vfio.Tracing.Format;

/// <summary>What a trace file begins with: 64 bytes, little-endian. Records follow it to the end of the file.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct TraceHeader
{
    /// <summary>Bytes of the header.</summary>
    internal const int Bytes = 64;

    /// <summary>The version that this library writes, and the newest that it reads.</summary>
    internal const uint CurrentVersion = 1;

    /// <summary><see cref="Magic"/> in a file of this kind: "VFIOTRC" and a line feed, which a transfer as text would change.</summary>
    internal const ulong MagicValue = 0x0a43_5254_4f49_4656;

    /// <summary>What kind of file it is.</summary>
    public ulong Magic;

    /// <summary>Which version of the format; a reader refuses newer ones.</summary>
    public uint Version;

    /// <summary>Bytes of this header; records begin after it.</summary>
    public uint HeaderBytes;

    /// <summary>Bytes of a record.</summary>
    public uint RecordBytes;

    /// <summary>0; more in later versions.</summary>
    public uint Flags;

    /// <summary>When the trace began, in nanoseconds since 1970-01-01 UTC.</summary>
    public ulong Start;

    /// <summary>0.</summary>
    public ulong Reserved1;

    /// <summary>0.</summary>
    public ulong Reserved2;

    /// <summary>0.</summary>
    public ulong Reserved3;

    /// <summary>0.</summary>
    public ulong Reserved4;
}
