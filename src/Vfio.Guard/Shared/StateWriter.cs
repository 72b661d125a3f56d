using System.Buffers;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard;

/// <summary>Writes a state: values one after the other, little-endian and without gaps. <see cref="StateReader"/> reads them.</summary>
public sealed class StateWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>All that was written.</summary>
    public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    /// <summary>Writes a number, or a packed struct.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    public void Write<T>(T value)
        where T : unmanaged => Write(Blittable.AsBytes(ref value));

    /// <summary>Writes bytes without their length: the reader must know it.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);

    internal void Clear() => _bytes.ResetWrittenCount();
}
