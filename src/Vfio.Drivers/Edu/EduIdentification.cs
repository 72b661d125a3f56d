namespace Vfio.Drivers.Edu;

/// <summary>The identification register.</summary>
/// <param name="Raw">Its value, <c>0xRRrr00ed</c>.</param>
internal readonly record struct EduIdentification(uint Raw)
{
    /// <summary>Major version, bits 31:24.</summary>
    public int Major => (int)(Raw >> 24);

    /// <summary>Minor version, bits 23:16.</summary>
    public int Minor => (int)(Raw >> 16 & 0xff);

    /// <summary>Whether bits 15:0 are those of the educational device.</summary>
    public bool IsEdu => (Raw & 0xffff) == 0x00ed;

    /// <summary><c>edu 1.0</c>.</summary>
    public override string ToString() => IsEdu ? $"edu {Major}.{Minor}" : $"0x{Raw:x8}, which is no edu";
}
