using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>A message of the server.</summary>
/// <param name="Header">Its header.</param>
/// <param name="Body">The bytes after the header.</param>
/// <param name="Descriptors">The descriptors that came with it; owned by the trial.</param>
internal sealed record Received(MessageHeader Header, byte[] Body, IReadOnlyList<FileDescriptor> Descriptors)
{
    /// <summary>Whether it is a refusal.</summary>
    internal bool IsRefusal => Header.IsError;

    /// <summary>The errno of a refusal in words.</summary>
    internal string Refusal => Header.Error == 0 ? "an error without a number" : VfioException.Describe((Errno)Header.Error);

    /// <summary>What follows the numbers in the reply to VERSION; a body without them is a violation.</summary>
    internal ReadOnlySpan<byte> VersionData
    {
        get
        {
            _ = At<VersionMessage>(0);
            return Body.AsSpan(Blittable.SizeOf<VersionMessage>());
        }
    }

    /// <summary>Reads a field of the body; a body that is too short is a violation.</summary>
    internal T At<T>(int offset)
        where T : unmanaged =>
        offset <= Body.Length && Blittable.TryRead(Body.AsSpan(offset), out T value)
            ? value
            : throw CheckEndedException.Violation($"the body of the reply has {Body.Length} bytes, too few for the field at {offset}");
}
