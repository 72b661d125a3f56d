using System.Buffers.Binary;
using System.Text;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests;

/// <summary>A vfio-user client that sends whatever bytes a test builds, by the numbers of the specification.</summary>
internal sealed class RawClient : IDisposable
{
    public const ushort Version = 1, DmaMap = 2, DmaUnmap = 3, GetInfo = 4, GetRegionInfo = 5, GetIrqInfo = 7, SetIrqs = 8,
        RegionRead = 9, RegionWrite = 10, DeviceReset = 13;

    public const int HeaderBytes = 16;

    private readonly UnixSocket _socket;
    private readonly DescriptorQueue _descriptors = new();

    public RawClient(string path) => _socket = UnixSocket.Connect(path);

    /// <summary>A message: header, then body.</summary>
    public static byte[] Message(ushort command, byte[] body, uint? size = null, uint flags = 0, ushort id = 7)
    {
        byte[] message = new byte[HeaderBytes + body.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(message, id);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(2), command);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), size ?? (uint)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), flags);
        body.CopyTo(message, HeaderBytes);
        return message;
    }

    public static byte[] VersionBody(string json = """{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}""") =>
        [0, 0, 1, 0, .. Encoding.ASCII.GetBytes(json), 0];

    public static byte[] AccessBody(ulong offset, uint region, uint count, params byte[] data) =>
        [.. Bytes(offset), .. Bytes(region), .. Bytes(count), .. data];

    public static byte[] MapBody(ulong fileOffset, ulong address, ulong size, uint flags = 3, uint argsz = 32) =>
        [.. Bytes(argsz), .. Bytes(flags), .. Bytes(fileOffset), .. Bytes(address), .. Bytes(size)];

    public static byte[] UnmapBody(ulong address, ulong size, uint flags = 0, uint argsz = 24) =>
        [.. Bytes(argsz), .. Bytes(flags), .. Bytes(address), .. Bytes(size)];

    public static byte[] IrqBody(uint flags, uint index, uint start, uint count, uint argsz = 20) =>
        [.. Bytes(argsz), .. Bytes(flags), .. Bytes(index), .. Bytes(start), .. Bytes(count)];

    public static byte[] Bytes(uint value) => BitConverter.GetBytes(value);

    public static byte[] Bytes(ulong value) => BitConverter.GetBytes(value);

    /// <summary>Sends bytes, all of them unless the server has dropped this client.</summary>
    public bool Send(ReadOnlySpan<byte> bytes, params FileDescriptor[] descriptors)
    {
        ReadOnlySpan<FileDescriptor> with = descriptors;
        while (bytes.Length > 0)
        {
            int sent = _socket.Send(bytes, default, with, wait: true, out _);
            if (sent < 0)
                return false;
            bytes = bytes[sent..];
            with = default;
        }

        return true;
    }

    /// <summary>Sends as much as the server's queue takes.</summary>
    /// <returns>How many bytes; -1 when the queue is full or the server has dropped this client.</returns>
    public int SendSome(ReadOnlySpan<byte> bytes) => _socket.Send(bytes, default, default, wait: false, out _);

    /// <summary>Sends a message again and again, reading nothing, until the server drops this client.</summary>
    public void SendUntilDropped(ReadOnlySpan<byte> message)
    {
        for (int at = 0; ;)
        {
            int sent = _socket.Send(message[at..], default, default, wait: false, out Errno error);
            if (sent >= 0)
                at = (at + sent) % message.Length;
            else if (error != Errno.TryAgain)
                return;
            else
                Assert.True(HangGuard.WaitWritable(_socket.Descriptor), "the server keeps a client that never reads");
        }
    }

    /// <summary>Receives one whole message.</summary>
    /// <returns>Null when the server closed.</returns>
    public byte[]? Receive()
    {
        byte[]? header = ReceiveExactly(HeaderBytes);
        if (header is null)
            return null;
        byte[]? body = ReceiveExactly((int)BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4)) - HeaderBytes);
        return body is null ? null : [.. header, .. body];
    }

    /// <summary>Receives bytes and looks at none of them.</summary>
    public void Skip(int count)
    {
        Span<byte> piece = stackalloc byte[4096];
        while (count > 0)
        {
            int received = _socket.Receive(piece[..Math.Min(count, piece.Length)], _descriptors, wait: true, out _);
            Assert.True(received > 0, "the server dropped this client");
            count -= received;
        }
    }

    /// <summary>Sends a command and gives the errno of its reply; 0 when it succeeded, null when the server dropped this client.</summary>
    public int? Ask(ushort command, byte[] body, params FileDescriptor[] descriptors)
    {
        Send(Message(command, body), descriptors);
        return Receive() is { } reply ? ErrnoOf(reply) : null;
    }

    public void Negotiate() => Assert.Equal(0, Ask(Version, VersionBody()));

    public static int ErrnoOf(byte[] reply) => (int)BinaryPrimitives.ReadUInt32LittleEndian(reply.AsSpan(12));

    public void Dispose()
    {
        _descriptors.Dispose();
        _socket.Dispose();
    }

    private byte[]? ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        int done = 0;
        while (done < count)
        {
            Assert.True(HangGuard.WaitReadable(_socket.Descriptor), "the server did not answer");
            int received = _socket.Receive(bytes.AsSpan(done), _descriptors, wait: true, out _);
            if (received <= 0)
                return null;
            done += received;
        }

        return bytes;
    }
}
