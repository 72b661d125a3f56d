namespace Vfio.Drivers.Nvme;

/// <summary>Version (VS), offset 0x08: the specification that a controller follows.</summary>
/// <param name="Raw">Major in bits 31:16, minor in bits 15:8, tertiary in bits 7:0.</param>
/// <remarks>NVM Express Base Specification 1.4, section 3.1.2.</remarks>
internal readonly record struct NvmeVersion(uint Raw)
{
    /// <summary><c>1.4.0</c>.</summary>
    public override string ToString() => $"{Raw >> 16}.{Raw >> 8 & 0xff}.{Raw & 0xff}";
}
