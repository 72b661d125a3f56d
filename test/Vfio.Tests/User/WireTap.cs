using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.User;

/// <summary>Between a client and a server: passes bytes and descriptors on, and keeps each message.</summary>
internal sealed class WireTap : IDisposable
{
    private readonly List<Message> _messages = [];
    private readonly List<Thread> _threads = [];
    private readonly UnixSocket _server;
    private readonly UnixSocket _near;

    internal WireTap(UnixSocket server)
    {
        _server = server;
        (Client, _near) = UnixSocket.CreatePair();
        Pass(_near, _server, fromServer: false);
        Pass(_server, _near, fromServer: true);
    }

    /// <summary>The client's end.</summary>
    internal UnixSocket Client { get; }

    /// <summary>What went through, once both sides have closed.</summary>
    internal IReadOnlyList<Message> Messages
    {
        get
        {
            foreach (Thread thread in _threads)
                Assert.True(thread.Join(HangGuard.Timeout), "a side did not close");
            return _messages;
        }
    }

    public void Dispose()
    {
        _ = Messages;
        _server.Dispose();
        _near.Dispose();
    }

    private void Pass(UnixSocket from, UnixSocket to, bool fromServer)
    {
        Thread thread = new(() =>
        {
            byte[] bytes = new byte[1 << 16];
            DescriptorQueue arrived = new();
            List<byte> whole = [];
            int descriptors = 0;
            for (int count; (count = from.Receive(bytes, arrived, wait: true, out _)) > 0;)
            {
                List<FileDescriptor> passed = [];
                while (arrived.Take() is { } descriptor)
                    passed.Add(descriptor);
                descriptors += passed.Count;
                whole.AddRange(bytes.AsSpan(0, count));

                // Before it is passed on, so that no answer is kept before its command.
                Cut(whole, fromServer, ref descriptors);
                int sent = to.Send(bytes.AsSpan(0, count), default, [.. passed], wait: true, out _);
                passed.ForEach(descriptor => descriptor.Dispose());
                if (sent != count)
                    break;
            }

            to.Shutdown();
        });
        _threads.Add(thread);
        thread.Start();
    }

    private void Cut(List<byte> whole, bool fromServer, ref int descriptors)
    {
        while (whole.Count >= 16)
        {
            int size = BinaryPrimitives.ReadInt32LittleEndian([.. whole[4..8]]);
            if (whole.Count < size)
                return;
            lock (_messages)
                _messages.Add(new Message(fromServer, [.. whole[..size]], descriptors));
            descriptors = 0;
            whole.RemoveRange(0, size);
        }
    }

    internal sealed record Message(bool FromServer, byte[] Bytes, int Descriptors)
    {
        internal ushort Command => BinaryPrimitives.ReadUInt16LittleEndian(Bytes.AsSpan(2));

        internal bool IsReply => (Bytes[8] & 0xf) == 1;

        internal ulong Field(int at, int size) => size switch
        {
            2 => BinaryPrimitives.ReadUInt16LittleEndian(Bytes.AsSpan(at)),
            4 => BinaryPrimitives.ReadUInt32LittleEndian(Bytes.AsSpan(at)),
            _ => BinaryPrimitives.ReadUInt64LittleEndian(Bytes.AsSpan(at)),
        };
    }
}
