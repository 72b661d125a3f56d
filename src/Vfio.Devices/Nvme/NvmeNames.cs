using System.Security.Cryptography;
using System.Text;

namespace Vfio.Devices.Nvme;

/// <summary>A drive's names: serial number, name of the NVM subsystem, and identifiers of its namespaces.</summary>
/// <remarks>All are derived from one origin, so that a drive has the same names whenever it is served, and two drives in a guest have
/// different ones: Linux refuses a second controller with the same subsystem name and controller id.</remarks>
internal sealed class NvmeNames
{
    /// <summary>Longest serial number: the field of Identify Controller, in bytes.</summary>
    internal const int LongestSerial = 20;

    /// <summary>Longest name of a subsystem, in bytes (NVM Express Base Specification 2.0, section 4.5).</summary>
    internal const int LongestSubsystem = 223;

    /// <summary>A locally administered organization identifier, as there is no registered one: EUI-64 and NGUID begin with it.</summary>
    internal static readonly byte[] Organization = [0x56, 0x46, 0x49];

    private readonly byte[] _origin;

    /// <summary>Derives names.</summary>
    /// <param name="origin">What makes this drive different from others.</param>
    /// <param name="serial">A serial number of the user's choice; the others are then derived from it.</param>
    /// <param name="subsystem">A name of the subsystem of the user's choice.</param>
    private NvmeNames(byte[] origin, string? serial, string? subsystem)
    {
        _origin = serial is null ? origin : Encoding.UTF8.GetBytes("serial:" + serial);
        Serial = serial ?? "VFIO" + Convert.ToHexString(Derive("serial")[..8]);
        Subsystem = subsystem ?? $"nqn.2014-08.org.nvmexpress:uuid:{DeriveUuid("subsystem"):D}";
    }

    /// <summary>SN, without padding.</summary>
    internal string Serial { get; }

    /// <summary>SUBNQN.</summary>
    internal string Subsystem { get; }

    /// <summary>Names of a drive that has an image.</summary>
    /// <param name="path">The image's path.</param>
    /// <param name="serial">As for the constructor.</param>
    /// <param name="subsystem">As for the constructor.</param>
    internal static NvmeNames OfImage(string path, string? serial = null, string? subsystem = null) =>
        new(Encoding.UTF8.GetBytes("image:" + Path.GetFullPath(path)), serial, subsystem);

    /// <summary>Names of a drive whose blocks are in memory: different ones each time, for it is another drive each time.</summary>
    internal static NvmeNames OfMemory(string? serial = null, string? subsystem = null) =>
        new(RandomNumberGenerator.GetBytes(16), serial, subsystem);

    /// <summary>Whether a text can be a serial number: 1 to 20 printable ASCII characters, none of them a space at an end.</summary>
    internal static bool IsSerial(string text) =>
        text.Length is > 0 and <= LongestSerial && IsPrintable(text) && text.Trim().Length == text.Length;

    /// <summary>Whether a text can name a subsystem: <c>nqn.</c> and more, at most 223 printable ASCII characters without spaces.</summary>
    internal static bool IsSubsystem(string text) =>
        text.Length is > 4 and <= LongestSubsystem && text.StartsWith("nqn.", StringComparison.Ordinal) && IsPrintable(text) && !text.Contains(' ');

    /// <summary>UUID of a namespace, version 8: made of a hash.</summary>
    internal Guid UuidOf(uint space) => DeriveUuid($"namespace {space}");

    /// <summary>EUI-64 of a namespace.</summary>
    internal void WriteEui64(uint space, Span<byte> eui64)
    {
        Organization.CopyTo(eui64);
        Derive($"eui64 {space}")[..5].CopyTo(eui64[3..]);
    }

    /// <summary>NGUID of a namespace: an extension of 8 bytes, the organization, 5 bytes.</summary>
    internal void WriteNguid(uint space, Span<byte> nguid)
    {
        Derive($"nguid {space}")[..16].CopyTo(nguid);
        Organization.CopyTo(nguid[8..]);
    }

    private static bool IsPrintable(string text) => !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    private Span<byte> Derive(string purpose) => SHA256.HashData([.. _origin, 0, .. Encoding.UTF8.GetBytes(purpose)]);

    private Guid DeriveUuid(string purpose)
    {
        Span<byte> bytes = Derive(purpose)[..16];
        bytes[6] = (byte)(0x80 | (bytes[6] & 0x0f));
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3f));
        return new Guid(bytes, bigEndian: true);
    }
}
