using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;

namespace Vfio.User.Wire;

/// <summary>Reads what a <see cref="HandoverWriter"/> of another process wrote. The bytes are untrusted: invalid ones are
/// EPROTO.</summary>
/// <param name="bytes">The values.</param>
/// <param name="descriptors">The descriptors; owned.</param>
internal sealed class HandoverReader(byte[] bytes, DescriptorQueue descriptors) : IDisposable
{
    private readonly List<FileDescriptor> _shared = [];
    private int _position;

    internal T Read<T>()
        where T : unmanaged
    {
        if (!Blittable.TryRead(bytes.AsSpan(_position), out T value))
            throw Broken("a value");
        _position += Blittable.SizeOf<T>();
        return value;
    }

    internal bool ReadBool() => Read<byte>() switch
    {
        0 => false,
        1 => true,
        _ => throw Broken("a yes or no"),
    };

    /// <summary>Reads a number from 0 to a limit.</summary>
    internal int ReadCount(int most)
    {
        int count = Read<int>();
        return count >= 0 && count <= most ? count : throw Broken($"a count of {count}, at most {most} can be");
    }

    /// <summary>Reads bytes; do not dispose it.</summary>
    internal ReadOnlySpan<byte> ReadBytes(int most)
    {
        int count = ReadCount(most);
        if (count > bytes.Length - _position)
            throw Broken($"{count} bytes");
        _position += count;
        return bytes.AsSpan(_position - count, count);
    }

    internal string? ReadText() => ReadBool() ? Encoding.UTF8.GetString(ReadBytes(HandoverHeader.MaxTextBytes)) : null;

    /// <summary>Takes a descriptor; the caller owns it.</summary>
    internal FileDescriptor TakeDescriptor() => descriptors.Take() ?? throw Broken("a descriptor");

    /// <summary>Takes a descriptor that is open as long as this object.</summary>
    internal FileDescriptor ReadDescriptor()
    {
        FileDescriptor descriptor = TakeDescriptor();
        _shared.Add(descriptor);
        return descriptor;
    }

    /// <summary>Takes a descriptor, if there is one; the caller owns it.</summary>
    internal FileDescriptor? ReadOptional() => ReadBool() ? TakeDescriptor() : null;

    /// <summary>Checks that nothing is left.</summary>
    internal void End()
    {
        if (_position != bytes.Length || descriptors.Count != 0)
            throw Broken("the end");
    }

    /// <summary>The exception for a value that is not the expected one.</summary>
    internal VfioException Broken(string expected) =>
        new("taking over", "what the other server gave", Errno.Protocol, $"there is no {expected} at byte {_position} of {bytes.Length}");

    /// <summary>Closes descriptors that were not taken.</summary>
    public void Dispose()
    {
        foreach (FileDescriptor descriptor in _shared)
            descriptor.Dispose();
        descriptors.Dispose();
    }
}
