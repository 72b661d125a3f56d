namespace Vfio.Tracing.Names;

/// <summary>A register with a name.</summary>
/// <param name="Region">Its region.</param>
/// <param name="Offset">Its offset in bytes.</param>
/// <param name="Bytes">Its width in bytes.</param>
/// <param name="Name">Its name.</param>
/// <param name="Fields">Its fields; none where only the name is known.</param>
internal sealed record NamedRegister(uint Region, ulong Offset, int Bytes, string Name, IReadOnlyList<NamedField> Fields);

/// <summary>A range of bits with a name.</summary>
/// <param name="Name">Its name.</param>
/// <param name="High">Highest bit.</param>
/// <param name="Low">Lowest bit.</param>
/// <param name="Format">How its value reads; null for a number.</param>
internal readonly record struct NamedField(string Name, int High, int Low, Func<uint, string>? Format = null)
{
    /// <summary>Its value in a register's.</summary>
    internal ulong Of(ulong register) => (register >> Low) & (ulong.MaxValue >> (63 - (High - Low)));
}
