using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard;

/// <summary>Reads what <see cref="StateWriter"/> wrote. The bytes may be forged: it never reads past the end, and fails when there are
/// not enough.</summary>
/// <param name="bytes">The state.</param>
public ref struct StateReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _left = bytes;

    /// <summary>How many bytes are left.</summary>
    public readonly int Left => _left.Length;

    /// <summary>Reads a number, or a packed struct.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>False when there are not enough bytes.</returns>
    public bool TryRead<T>(out T value)
        where T : unmanaged
    {
        if (!Blittable.TryRead(_left, out value))
            return false;
        _left = _left[Blittable.SizeOf<T>()..];
        return true;
    }

    /// <summary>Reads bytes, without a copy: they are valid as long as the state is.</summary>
    /// <returns>False when there are not enough.</returns>
    public bool TryRead(int count, out ReadOnlySpan<byte> bytes)
    {
        bool isThere = count >= 0 && count <= _left.Length;
        bytes = isThere ? _left[..count] : default;
        if (isThere)
            _left = _left[count..];
        return isThere;
    }
}
