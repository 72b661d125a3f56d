using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>What every message between a server and its successor starts with: 24 bytes, little-endian, then <see cref="Length"/>
/// bytes.</summary>
/// <remarks>This struct is the same in every version of the format, so that each side can tell which one the other speaks.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct HandoverHeader
{
    /// <summary>"vfio-hnd": a mark.</summary>
    internal const ulong ExpectedMark = 0x646e_682d_6f69_6676;

    /// <summary>The format of all that follows; 1 was a line of text with the listening socket alone.</summary>
    internal const uint CurrentVersion = 2;

    /// <summary>Longest text of a message, in bytes.</summary>
    internal const int MaxTextBytes = 4096;

    /// <summary><see cref="ExpectedMark"/>.</summary>
    internal ulong Mark;

    /// <summary>The sender's format.</summary>
    internal uint Version;

    /// <summary>What it is.</summary>
    internal HandoverKind Kind;

    /// <summary>Bytes that follow.</summary>
    internal uint Length;

    /// <summary>Descriptors that come with them.</summary>
    internal uint DescriptorCount;
}

/// <summary>The messages of a handover, in their order.</summary>
internal enum HandoverKind : uint
{
    /// <summary>From the successor: it is ready.</summary>
    Ask = 1,

    /// <summary>From the server: all there is. It stands still until it is answered.</summary>
    Give = 2,

    /// <summary>From the successor: it goes on from here. Whoever receives this lets go.</summary>
    Taken = 3,

    /// <summary>From either: why not, as a text. The server goes on.</summary>
    Refuse = 4,
}
