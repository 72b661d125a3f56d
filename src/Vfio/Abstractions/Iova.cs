namespace Vfio;

/// <summary>An address that a device puts on the bus: I/O virtual address, in bytes.</summary>
/// <param name="Value">The address.</param>
public readonly record struct Iova(ulong Value) : IComparable<Iova>
{
    /// <summary>The address <paramref name="bytes"/> above this one.</summary>
    /// <exception cref="OverflowException">It would wrap.</exception>
    public static Iova operator +(Iova start, ulong bytes) => new(checked(start.Value + bytes));

    /// <summary>Whether an address lies below another.</summary>
    public static bool operator <(Iova left, Iova right) => left.Value < right.Value;

    /// <summary>Whether an address lies above another.</summary>
    public static bool operator >(Iova left, Iova right) => left.Value > right.Value;

    /// <summary>Whether an address lies below another or is the same.</summary>
    public static bool operator <=(Iova left, Iova right) => left.Value <= right.Value;

    /// <summary>Whether an address lies above another or is the same.</summary>
    public static bool operator >=(Iova left, Iova right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public int CompareTo(Iova other) => Value.CompareTo(other.Value);

    /// <summary>Hex with <c>0x</c>.</summary>
    public override string ToString() => $"0x{Value:x}";
}
