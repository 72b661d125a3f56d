using Vfio.Native;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>A message to a server, before its header.</summary>
/// <param name="Command">The command.</param>
/// <param name="Body">What follows the header, right or wrong.</param>
internal sealed record Request(Command Command, byte[] Body)
{
    /// <summary>Descriptors that go with it; do not dispose it.</summary>
    internal FileDescriptor[] Descriptors { get; init; } = [];

    /// <summary>The same with less of its body.</summary>
    internal Request Cut(int bytes) => this with { Body = Body[..bytes] };

    /// <summary>The same with more than its body.</summary>
    internal Request Add(params byte[] bytes) => this with { Body = [.. Body, .. bytes] };

    /// <summary>The same with descriptors.</summary>
    internal Request With(params FileDescriptor[] descriptors) => this with { Descriptors = descriptors };

    /// <summary>The bytes with a header in front.</summary>
    internal byte[] ToMessage(ushort id, MessageFlags flags = MessageFlags.Command, uint? size = null, uint error = 0)
    {
        MessageHeader header = MessageHeader.ForCommand(id, Command, Body.Length, flags);
        header.Size = size ?? header.Size;
        header.Error = error;
        return [.. Requests.Bytes(header), .. Body];
    }
}
