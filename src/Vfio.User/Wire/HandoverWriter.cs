using System.Buffers;
using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.User.Wire;

/// <summary>Writes what a successor needs: values one after the other, little-endian and without gaps, and descriptors beside them.
/// <see cref="HandoverReader"/> reads them.</summary>
internal sealed class HandoverWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly List<FileDescriptor> _descriptors = [];

    /// <summary>The values so far.</summary>
    internal ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    /// <summary>The descriptors so far; do not dispose it.</summary>
    internal IReadOnlyList<FileDescriptor> Descriptors => _descriptors;

    internal void Write<T>(T value)
        where T : unmanaged => _bytes.Write(Blittable.AsBytes(ref value));

    /// <summary>Writes the number of bytes, and the bytes.</summary>
    internal void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        Write(bytes.Length);
        _bytes.Write(bytes);
    }

    /// <summary>Writes a text, or that there is none.</summary>
    internal void Write(string? text)
    {
        Write(text is not null);
        if (text is not null)
            WriteBytes(Encoding.UTF8.GetBytes(text));
    }

    internal void Write(FileDescriptor descriptor) => _descriptors.Add(descriptor);

    /// <summary>Writes a descriptor, or that there is none.</summary>
    internal void WriteOptional(FileDescriptor? descriptor)
    {
        Write(descriptor is not null);
        if (descriptor is not null)
            Write(descriptor);
    }
}
