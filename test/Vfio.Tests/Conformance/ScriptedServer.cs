using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Tests.User;

namespace Vfio.Tests.Conformance;

/// <summary>A server that does a little of the protocol, wrongly where a test says so: one client after the other.</summary>
internal sealed class ScriptedServer : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
    private readonly UnixListener _listener;
    private readonly Func<ushort, byte[], Answer> _answer;
    private readonly Thread _thread;
    private volatile bool _ended;

    /// <summary>Starts it.</summary>
    /// <param name="answer">What becomes of a command and its body.</param>
    internal ScriptedServer(Func<ushort, byte[], Answer> answer)
    {
        _answer = answer;
        Path = System.IO.Path.Combine(_folder, "s");
        _listener = UnixListener.Bind(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _thread = new Thread(Serve);
        _thread.Start();
    }

    internal string Path { get; }

    /// <summary>The right answer to the commands that a kit begins with; everything else is refused with ENOSYS.</summary>
    internal static Answer Right(ushort command, byte[] body) => command switch
    {
        1 => Answer.Body((ushort)0, (ushort)1, "{\"capabilities\":{}}\0"),
        4 when body.Length >= 16 && BitConverter.ToUInt32(body) >= 16 => Answer.Body(16, 2, 9, 5),
        5 when body.Length >= 32 && BitConverter.ToUInt32(body, 8) < 9 => Answer.Body(32, 0, BitConverter.ToUInt32(body, 8), 0, 0ul, 0ul),
        7 when body.Length >= 16 && BitConverter.ToUInt32(body, 8) < 5 => Answer.Body(16, 0, BitConverter.ToUInt32(body, 8), 0),
        _ => Answer.Refusal(38),
    };

    public void Dispose()
    {
        _ended = true;
        _listener.Shutdown();
        Assert.True(_thread.Join(TestTimeout));
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void Serve()
    {
        while (!_ended && _listener.Accept() is UnixSocket client)
        {
            using (client)
            using (DescriptorQueue descriptors = new())
            {
                while (Fill(client, descriptors, 16) is byte[] header
                    && Fill(client, descriptors, (int)BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4)) - 16) is byte[] body)
                {
                    Answer answer = _answer(BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(2)), body);
                    if (answer.Kind == AnswerKind.Die)
                        _ended = true;
                    if (answer.Kind is AnswerKind.Die or AnswerKind.Close)
                        break;
                    if (answer.Kind != AnswerKind.Silence)
                        client.Send(answer.ToMessage(header), default, default, wait: true, out _);
                }
            }
        }

        if (_ended)
            _listener.Shutdown();
    }

    private byte[]? Fill(UnixSocket client, DescriptorQueue descriptors, int count)
    {
        if (count is < 0 or > 1 << 20)
            return null;
        byte[] bytes = new byte[count];
        for (int at = 0; at < count;)
        {
            if (_ended || !HangGuard.WaitReadable(client.Descriptor))
                return null;
            int received = client.Receive(bytes.AsSpan(at), descriptors, wait: true, out _);
            if (received <= 0)
                return null;
            at += received;
        }

        return bytes;
    }

    internal enum AnswerKind
    {
        Reply,
        Silence,
        Close,
        Die,
    }

    /// <summary>What the server does with one command.</summary>
    internal sealed record Answer(AnswerKind Kind, uint Errno, byte[] Bytes)
    {
        internal static Answer Silence { get; } = new(AnswerKind.Silence, 0, []);

        internal static Answer Close { get; } = new(AnswerKind.Close, 0, []);

        internal static Answer Die { get; } = new(AnswerKind.Die, 0, []);

        /// <summary>Added to the id of the command.</summary>
        internal int IdOffset { get; init; }

        /// <summary>Flags in place of those of a reply.</summary>
        internal uint? Flags { get; init; }

        internal static Answer Body(params object[] fields) => new(AnswerKind.Reply, 0, RawPeer.Bytes(fields));

        internal static Answer Refusal(uint errno, params byte[] body) => new(AnswerKind.Reply, errno, body);

        internal byte[] ToMessage(byte[] header)
        {
            ushort id = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(header) + IdOffset);
            byte[] message = RawPeer.Message(id, BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(2)), Flags ?? (Errno == 0 ? 1u : 0x21u), Bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(12), Errno);
            return message;
        }
    }
}
