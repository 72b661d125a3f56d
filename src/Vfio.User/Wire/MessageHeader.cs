using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>The header of each message: 16 bytes.</summary>
/// <remarks>vfio-user, section "Header". All fields are in the byte order of the machine, which is little-endian.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct MessageHeader
{
    /// <summary>Size of the header in bytes.</summary>
    public const int Length = 16;

    /// <summary>Chosen by the sender of the command, and returned in the reply.</summary>
    public ushort Id;

    /// <summary>The command that is sent or answered.</summary>
    public Command Command;

    /// <summary>Bytes of the whole message, this header included.</summary>
    public uint Size;

    /// <summary>The type and its attributes.</summary>
    public MessageFlags Flags;

    /// <summary>In a reply with <see cref="MessageFlags.Error"/>: an errno, which may be 0; else reserved.</summary>
    public uint Error;

    /// <summary>The type in bits 3:0 of <see cref="Flags"/>.</summary>
    public readonly MessageFlags Type => Flags & MessageFlags.TypeMask;

    /// <summary>Whether the sender of this command requests no reply.</summary>
    public readonly bool WantsNoReply => (Flags & MessageFlags.NoReply) != 0;

    /// <summary>Whether this reply is a refusal.</summary>
    public readonly bool IsError => (Flags & MessageFlags.Error) != 0;

    /// <summary>The header of a command.</summary>
    /// <param name="id">Returned in the reply.</param>
    /// <param name="command">The command.</param>
    /// <param name="bodyBytes">Bytes that follow the header.</param>
    /// <param name="flags"><see cref="MessageFlags.NoReply"/>, or none.</param>
    public static MessageHeader ForCommand(ushort id, Command command, int bodyBytes, MessageFlags flags = MessageFlags.Command) =>
        new() { Id = id, Command = command, Size = (uint)(Length + bodyBytes), Flags = flags };

    /// <summary>The header of the reply to this command.</summary>
    /// <param name="bodyBytes">Bytes that follow the header; 0 with an error.</param>
    /// <param name="error">Why the command failed, or <see cref="Errno.None"/>.</param>
    public readonly MessageHeader Reply(int bodyBytes, Errno error) => new()
    {
        Id = Id,
        Command = Command,
        Size = (uint)(Length + bodyBytes),
        Flags = MessageFlags.Reply | (error == Errno.None ? 0 : MessageFlags.Error),
        Error = (uint)error,
    };
}

/// <summary>Field <see cref="MessageHeader.Flags"/>: a type in bits 3:0, attributes above.</summary>
[Flags]
internal enum MessageFlags : uint
{
    /// <summary>Type 0: a command.</summary>
    Command = 0,

    /// <summary>Type 1: the reply to a command.</summary>
    Reply = 1,

    /// <summary>The bits of the type.</summary>
    TypeMask = 0xf,

    /// <summary>No_reply, bit 4: the command is not answered, not even when it fails.</summary>
    NoReply = 0x10,

    /// <summary>Error, bit 5: the reply is a refusal, and only a header.</summary>
    Error = 0x20,
}
