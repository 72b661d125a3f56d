using Vfio.Native;

namespace Vfio.Description;

/// <summary>Numbers of the format of a <see cref="DeviceTable"/>; docs/table.md.</summary>
internal static class TableFormat
{
    /// <summary>Bytes of the table's head: mark, version, length of the head, length of the table.</summary>
    internal const int HeadBytes = 16;

    /// <summary>Bytes of a record's head: type, length, length of the content, 4 reserved.</summary>
    internal const int RecordHeadBytes = 16;

    /// <summary>Lengths of records are multiples of it; a content is filled up with zeros.</summary>
    internal const int Alignment = 8;

    /// <summary>Bytes of the longest table that is read.</summary>
    internal const int MaxBytes = 4 << 20;

    /// <summary>More bytes of a text are not shown.</summary>
    internal const int MaxTextBytes = 4096;

    /// <summary>A record may be in so many others.</summary>
    internal const int MaxDepth = 8;

    /// <summary>What a writer of today writes. A reader takes any: what changes the meaning of what was there has another mark.</summary>
    internal const ushort Version = 1;

    /// <summary>The first bytes of a table.</summary>
    internal static ReadOnlySpan<byte> Mark => "VFIOTABL"u8;

    internal static int Align(int bytes) => (bytes + Alignment - 1) & -Alignment;

    internal static VfioException Broken(int place, string why) =>
        new("reading a table", $"0x{place:x}", Errno.InvalidArgument, why);
}

/// <summary>Types of records.</summary>
internal static class RecordTypes
{
    internal const string Device = "DEVI";
    internal const string Region = "REGN";
    internal const string MmapAreas = "MMAP";
    internal const string Doorbell = "DBEL";
    internal const string Interrupt = "INTR";
    internal const string IovaRanges = "IOVA";
    internal const string Config = "PCIC";
    internal const string Structure = "CAPA";
    internal const string Register = "REGI";
    internal const string Field = "FELD";
    internal const string Name = "NAME";
    internal const string DeviceTreePath = "DTPA";
    internal const string Compatible = "DTCO";
}
