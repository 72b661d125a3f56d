using System.Buffers.Binary;
using System.Text;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.User;

/// <summary>One end of a connection that speaks bytes, made by hand from the specification.</summary>
internal sealed class RawPeer(UnixSocket socket) : IDisposable
{
    private readonly DescriptorQueue _descriptors = new();
    private ushort _id;

    internal UnixSocket Socket => socket;

    /// <summary>Descriptors that came and were not taken.</summary>
    internal DescriptorQueue Descriptors => _descriptors;

    /// <summary>A whole message.</summary>
    internal static byte[] Message(ushort id, ushort command, uint flags, params object[] fields)
    {
        byte[] body = Bytes(fields);
        byte[] message = new byte[16 + body.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(message, id);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(2), command);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), (uint)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), flags);
        body.CopyTo(message, 16);
        return message;
    }

    /// <summary>Fields one after the other: ushort, uint, ulong, byte[], or a string in UTF-8.</summary>
    internal static byte[] Bytes(params object[] fields) => [.. fields.SelectMany(field => field switch
    {
        byte[] bytes => bytes,
        string text => Encoding.UTF8.GetBytes(text),
        ushort number => BitConverter.GetBytes(number),
        uint number => BitConverter.GetBytes(number),
        ulong number => BitConverter.GetBytes(number),
        int number => BitConverter.GetBytes((uint)number),
        _ => throw new ArgumentException($"{field.GetType()} is no field"),
    })];

    internal void Send(ReadOnlySpan<byte> bytes, params FileDescriptor[] descriptors)
    {
        while (bytes.Length > 0)
        {
            int count = socket.Send(bytes, default, descriptors, wait: true, out Errno error);
            Assert.True(count > 0, $"send: {error}");
            bytes = bytes[count..];
            descriptors = [];
        }
    }

    /// <summary>Sends a command and returns its reply.</summary>
    internal Reply Ask(ushort command, object[] fields, params FileDescriptor[] descriptors)
    {
        ushort id = ++_id;
        Send(Message(id, command, 0, fields), descriptors);
        Reply reply = Receive();
        Assert.Equal(id, reply.Id);
        Assert.Equal(command, reply.Command);
        Assert.Equal(1u, reply.Flags & 0xf);
        return reply;
    }

    /// <summary>Receives one message.</summary>
    internal Reply Receive() => ReceiveRest(ReceiveExactly(16));

    /// <summary>As <see cref="Receive"/>; null when the other side closed before it.</summary>
    internal Reply? TryReceive()
    {
        Assert.True(HangGuard.WaitReadable(socket.Descriptor), "the other side neither sent nor closed");
        byte[] first = new byte[1];
        return socket.Receive(first, _descriptors, wait: true, out _) <= 0 ? null : ReceiveRest([.. first, .. ReceiveExactly(15)]);
    }

    private Reply ReceiveRest(byte[] header)
    {
        int size = (int)BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4));
        return new Reply(
            BinaryPrimitives.ReadUInt16LittleEndian(header),
            BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(2)),
            BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)),
            BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(12)),
            ReceiveExactly(size - 16));
    }

    /// <summary>Whether the other side has closed, after what it still sent.</summary>
    internal bool IsClosed()
    {
        byte[] rest = new byte[4096];
        while (true)
        {
            Assert.True(HangGuard.WaitReadable(socket.Descriptor), "the other side neither sent nor closed");
            int count = socket.Receive(rest, _descriptors, wait: false, out Errno error);
            if (count == 0 || error == Errno.ConnectionReset)
                return true;
            if (count < 0)
                return false;
        }
    }

    internal void Negotiate()
    {
        const string Capabilities = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}\0";
        Reply reply = Ask(1, [(ushort)0, (ushort)1, Capabilities]);
        Assert.Equal(0u, reply.Error);
    }

    internal byte[] ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        int at = 0;
        while (at < count)
        {
            Assert.True(HangGuard.WaitReadable(socket.Descriptor), $"{count - at} more bytes did not come");
            int received = socket.Receive(bytes.AsSpan(at), _descriptors, wait: true, out Errno error);
            Assert.True(received > 0, $"receive: {(received == 0 ? "closed" : error)}");
            at += received;
        }

        return bytes;
    }

    public void Dispose()
    {
        _descriptors.Dispose();
        socket.Dispose();
    }

    /// <summary>A message that was received.</summary>
    internal sealed record Reply(ushort Id, ushort Command, uint Flags, uint Error, byte[] Body)
    {
        internal uint U32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(Body.AsSpan(offset));

        internal ulong U64(int offset) => BinaryPrimitives.ReadUInt64LittleEndian(Body.AsSpan(offset));

        /// <summary>The errno of a refusal, which is only a header.</summary>
        internal uint Refusal
        {
            get
            {
                Assert.Equal(0x21u, Flags);
                Assert.Empty(Body);
                return Error;
            }
        }

        /// <summary>The body of a reply that is no refusal.</summary>
        internal byte[] Success
        {
            get
            {
                Assert.Equal(1u, Flags);
                Assert.Equal(0u, Error);
                return Body;
            }
        }
    }
}
