using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Native.Memory;

/// <summary>Reads and writes packed little-endian structs in byte spans, with the length checked.</summary>
/// <remarks>The one place where bytes become structs. Layout is the struct's own; the machine must be little-endian,
/// which every machine that Linux assigns VFIO devices on in practice is.</remarks>
internal static class Blittable
{
    /// <summary>Size of <typeparamref name="T"/>, in bytes.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    public static int SizeOf<T>()
        where T : unmanaged => Unsafe.SizeOf<T>();

    /// <summary>Reads the struct at the start of <paramref name="source"/>.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>False when the bytes are fewer than the struct's size.</returns>
    public static bool TryRead<T>(ReadOnlySpan<byte> source, out T value)
        where T : unmanaged => MemoryMarshal.TryRead(source, out value);

    /// <summary>Reads the struct at the start of <paramref name="source"/>, which is long enough.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static T Read<T>(ReadOnlySpan<byte> source)
        where T : unmanaged => MemoryMarshal.Read<T>(source);

    /// <summary>Writes the struct to the start of <paramref name="destination"/>, which is long enough.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static void Write<T>(Span<byte> destination, in T value)
        where T : unmanaged => MemoryMarshal.Write(destination, in value);

    /// <summary>The same bits as another type of the same size.</summary>
    /// <typeparam name="TFrom">What they are; a struct without references.</typeparam>
    /// <typeparam name="TTo">What they become; likewise.</typeparam>
    /// <exception cref="NotSupportedException">The sizes differ.</exception>
    public static TTo Reinterpret<TFrom, TTo>(TFrom value)
        where TFrom : unmanaged
        where TTo : unmanaged => Unsafe.BitCast<TFrom, TTo>(value);

    /// <summary>The bytes of a struct, without a copy.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    public static Span<byte> AsBytes<T>(ref T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new Span<T>(ref value));

    /// <summary>The bytes of a span of structs, without a copy.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    public static ReadOnlySpan<byte> AsBytes<T>(ReadOnlySpan<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values);
}
