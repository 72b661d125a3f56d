using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>The header of each message between a server and its successor: 24 bytes, little-endian, then <see cref="Length"/>
/// bytes.</summary>
/// <remarks>This struct is the same in every version of the format, so that each side can read the other's version.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct HandoverHeader
{
    /// <summary>"vfio-hnd": a mark.</summary>
    internal const ulong ExpectedMark = 0x646e_682d_6f69_6676;

    /// <summary>The format of all that follows. Version 1 was a line of text with only the listening socket.</summary>
    internal const uint CurrentVersion = 2;

    /// <summary>Longest text of a message, in bytes.</summary>
    internal const int MaxTextBytes = 4096;

    /// <summary><see cref="ExpectedMark"/>.</summary>
    internal ulong Mark;

    /// <summary>The sender's format.</summary>
    internal uint Version;

    /// <summary>The kind of message.</summary>
    internal HandoverKind Kind;

    /// <summary>Bytes that follow.</summary>
    internal uint Length;

    /// <summary>Descriptors that come with them.</summary>
    internal uint DescriptorCount;
}

/// <summary>The messages of a handover, in their order.</summary>
internal enum HandoverKind : uint
{
    /// <summary>From the successor: it asks to take over.</summary>
    Ask = 1,

    /// <summary>From the server: all contents. The server is suspended until it is answered.</summary>
    Give = 2,

    /// <summary>From the successor: it has taken over. The server then closes without a reset.</summary>
    Taken = 3,

    /// <summary>From either: a refusal, with the reason as text. The server continues.</summary>
    Refuse = 4,
}
