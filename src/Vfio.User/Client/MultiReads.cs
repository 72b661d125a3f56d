using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Sends several REGION_READs at once, and receives their replies as they come.</summary>
/// <remarks>Guarded by the client's lock.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
internal sealed class MultiReads(ClientChannel channel, string name)
{
    /// <summary>The most requests under way: few enough to fit any socket's queue, so that a send never waits.</summary>
    internal const int MostUnderWay = 64;

    private static readonly int MessageBytes = MessageHeader.Length + Blittable.SizeOf<RegionAccessMessage>();
    private readonly byte[] _messages = new byte[MostUnderWay * MessageBytes];

    /// <summary>Reads them all.</summary>
    /// <param name="reads">What to read.</param>
    /// <param name="values">Receives the values; as many.</param>
    /// <exception cref="VfioException">The server refused one; the values before it are set.</exception>
    internal void Read(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        while (reads.Length > 0)
        {
            int count = Math.Min(reads.Length, MostUnderWay);
            ReadOnce(reads[..count], values[..count]);
            reads = reads[count..];
            values = values[count..];
        }
    }

    private void ReadOnce(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        ushort first = channel.TakeIds(reads.Length);
        for (int i = 0; i < reads.Length; i++)
        {
            Span<byte> message = _messages.AsSpan(i * MessageBytes, MessageBytes);
            ushort id = unchecked((ushort)(first + i));
            Blittable.Write(message, MessageHeader.ForCommand(id, Command.RegionRead, Blittable.SizeOf<RegionAccessMessage>()));
            Blittable.Write(message[MessageHeader.Length..], AccessOf(reads[i]));
        }

        (int Index, Errno Errno) refused = (reads.Length, Errno.None);
        using (channel.Begin(Command.RegionRead, _messages.AsSpan(0, reads.Length * MessageBytes)))
        {
            Span<bool> answered = stackalloc bool[MostUnderWay];
            for (int left = reads.Length; left > 0; left--)
            {
                MessageHeader reply = channel.WaitForReply(out ReadOnlySpan<byte> body);
                int index = unchecked((ushort)(reply.Id - first));
                if (index >= reads.Length || answered[index] || reply.Command != Command.RegionRead)
                    throw channel.Break(Errno.Protocol, $"it answered {reply.Command}, id {reply.Id}, which was not asked");
                answered[index] = true;
                if (reply.IsError && index < refused.Index)
                    refused = (index, ClientChannel.ErrnoOf(reply));
                else if (!reply.IsError)
                    values[index] = ValueOf(reads[index], body);
            }
        }

        if (refused.Errno != Errno.None)
        {
            RegisterRead read = reads[refused.Index];
            throw new VfioException($"read of {read.Region} at 0x{read.Offset:x}", name, refused.Errno);
        }
    }

    private ulong ValueOf(in RegisterRead read, ReadOnlySpan<byte> body)
    {
        int head = Blittable.SizeOf<RegionAccessMessage>();
        if (body.Length != head + read.Width || Blittable.Read<RegionAccessMessage>(body).Count != (uint)read.Width)
            throw channel.Break(Errno.Protocol, $"its reply to {Command.RegionRead} of {read.Width} bytes has {body.Length} bytes");
        ulong value = 0;
        body[head..].CopyTo(Blittable.AsBytes(ref value));
        return value;
    }

    private static RegionAccessMessage AccessOf(in RegisterRead read) =>
        new() { Offset = read.Offset, Region = read.Region.Value, Count = (uint)read.Width };
}
