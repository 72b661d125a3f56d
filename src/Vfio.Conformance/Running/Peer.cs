using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>A connection to the server under test. It sends any bytes that a check builds, and every wait has a timeout.</summary>
/// <remarks>It has framing of its own, and uses no code of this library's client.</remarks>
internal sealed class Peer : IDisposable
{
    // The longest reply there can be has 1 MiB of data, unless more was agreed; a server that announces more than this makes it up.
    private const uint MaxReplyBytes = 64 << 20;
    private const int MaxInterludes = 10_000;

    // The longest wait between two checks for cancellation.
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(100);

    private readonly UnixSocket _socket;
    private readonly int _number;
    private readonly DescriptorQueue _arrived = new();
    private ushort _id = 100;
    private bool _isEnded;

    internal Peer(Trial trial, UnixSocket socket, int number) => (Trial, _socket, _number) = (trial, socket, number);

    /// <summary>The check that this belongs to.</summary>
    internal Trial Trial { get; }

    /// <summary>What the server is and has.</summary>
    internal DeviceFacts Device => Trial.Device;

    /// <summary>The server's answer to VERSION, where this connection had one.</summary>
    internal Received? Agreed { get; set; }

    /// <summary>Answers a command of the server; without one it is refused with EINVAL.</summary>
    internal Action<Peer, Received>? OnCommand { get; set; }

    /// <summary>Sends bytes as they are.</summary>
    internal void Send(ReadOnlySpan<byte> bytes, params ReadOnlySpan<FileDescriptor> descriptors)
    {
        Trial.Log(_number, true, bytes, descriptors.Length);
        Deadline end = new(Trial.Timeout);
        while (bytes.Length > 0)
        {
            int count = _socket.Send(bytes, default, descriptors, wait: false, out Errno error);
            if (count < 0 && error != Errno.TryAgain)
                return; // it closed; a wait for an answer reports that
            if (count < 0 && end.HasPassed)
                throw CheckEndedException.Violation($"the server did not read {bytes.Length} bytes within {Trial.Timeout.TotalSeconds:0.#} s");
            if (count < 0)
            {
                Trial.Cancellation.ThrowIfCancellationRequested();
                Poll.WaitWritable(_socket.Descriptor, Deadline.Earlier(end, new Deadline(MaxWait)).Left);
                continue;
            }

            bytes = bytes[count..];
            descriptors = default;
        }
    }

    /// <summary>Sends a request with a new id.</summary>
    /// <returns>The id.</returns>
    internal ushort Send(Request request, MessageFlags flags = MessageFlags.Command)
    {
        Send(request.ToMessage(++_id, flags), request.Descriptors);
        return _id;
    }

    /// <summary>Sends a request and takes its reply, which must be one by the rules for every reply.</summary>
    internal Received Ask(Request request) => Reply(Send(request), request.Command);

    /// <summary>As <see cref="Ask"/>, for a request that must succeed.</summary>
    internal Received MustDo(Request request) => MustSucceed(Ask(request), request.Command);

    /// <summary>Takes a reply that must be none of refusal.</summary>
    internal Received MustSucceed(Received reply, Command command) => reply.IsRefusal
        ? throw CheckEndedException.Violation($"{MessageText.NameOf(command)} was refused: {reply.Refusal}")
        : reply;

    /// <summary>As <see cref="Ask"/>, for a step that a check needs and does not test.</summary>
    internal Received Need(Request request)
    {
        Received reply = Ask(request);
        return reply.IsRefusal
            ? throw CheckEndedException.Skip($"{MessageText.NameOf(request.Command)} is needed first and was refused: {reply.Refusal}")
            : reply;
    }

    /// <summary>Takes the reply to a request that was sent.</summary>
    internal Received Reply(ushort id, Command command) => Check(Await(out Received? reply), reply, id, command);

    /// <summary>Holds what arrived against the rules for every reply.</summary>
    internal Received Check(Arrival arrival, Received? reply, ushort id, Command command)
    {
        string name = MessageText.NameOf(command);
        switch (arrival)
        {
            case Arrival.Closed:
                throw CheckEndedException.Violation($"the server closed the connection instead of replying to {name}");
            case Arrival.Silence:
                throw CheckEndedException.Violation($"no reply to {name} within {Trial.Timeout.TotalSeconds:0.#} s");
        }

        MessageHeader header = reply!.Header;
        if (header.Id != id || header.Command != command)
        {
            throw CheckEndedException.Violation(
                $"the reply to {name} with id {id} says {MessageText.NameOf(header.Command)} with id {header.Id}");
        }

        return header.IsError && reply.Body.Length > 0
            ? throw CheckEndedException.Violation($"the refusal of {name} has {reply.Body.Length} bytes beside its header")
            : reply;
    }

    /// <summary>Whether the connection is as good as before: DEVICE_GET_INFO is answered.</summary>
    internal void MustGoOn()
    {
        Received reply = Ask(Requests.DeviceInfo());
        if (reply.IsRefusal)
            throw CheckEndedException.Violation($"after that, DEVICE_GET_INFO was refused: {reply.Refusal}");
    }

    /// <summary>Waits for a reply, for the end of the connection, or for the time to run out; answers the server's commands meanwhile.</summary>
    internal Arrival Await(out Received? reply) => Await(Trial.Timeout, out reply);

    /// <summary>As the other, for another time.</summary>
    internal Arrival Await(TimeSpan timeout, out Received? reply)
    {
        Deadline end = new(timeout);
        for (int i = 0; i < MaxInterludes; i++)
        {
            // Commands in between do not make the time longer.
            Arrival arrival = Receive(end, out reply);
            if (arrival != Arrival.Message || reply!.Header.Type != MessageFlags.Command)
                return arrival;
            if (reply.Header.IsError || (OnCommand is null && reply.Header.Command is not (Command.DmaRead or Command.DmaWrite)))
                throw CheckEndedException.Violation($"the server sent {MessageText.Of(Requests.Bytes(reply.Header))} as a command");
            if (OnCommand is not null)
                OnCommand(this, reply);
            else
                Send(new Request(reply.Header.Command, []).ToMessage(reply.Header.Id, MessageFlags.Reply | MessageFlags.Error, error: 22));
        }

        throw CheckEndedException.Violation($"the server sent {MaxInterludes} commands and no reply");
    }

    /// <summary>Ends the connection.</summary>
    public void Dispose()
    {
        _arrived.Dispose();
        _socket.Dispose();
        if (!_isEnded)
            Trial.Leave();
        _isEnded = true;
    }

    private Arrival Receive(Deadline end, out Received? message)
    {
        message = null;
        byte[] head = new byte[MessageHeader.Length];
        Arrival arrival = Fill(head, end, out int count);
        if (arrival != Arrival.Message)
        {
            return count == 0
                ? arrival
                : throw CheckEndedException.Violation($"a message of the server ends after {count} bytes of its header");
        }

        MessageHeader header = Blittable.Read<MessageHeader>(head);
        if (header.Size is < MessageHeader.Length or > MaxReplyBytes)
        {
            Trial.Log(_number, false, head, _arrived.Count);
            throw CheckEndedException.Violation($"a message of the server says that it has {header.Size} bytes");
        }

        byte[] body = new byte[header.Size - MessageHeader.Length];
        if (Fill(body, end, out int part) != Arrival.Message)
        {
            Trial.Log(_number, false, [.. head, .. body.AsSpan(0, part)], _arrived.Count);
            throw CheckEndedException.Violation($"a message of the server has {part} of the {body.Length} bytes that it announced");
        }

        List<FileDescriptor> descriptors = [];
        while (_arrived.Take() is FileDescriptor descriptor)
            descriptors.Add(Trial.Own(descriptor));
        Trial.Log(_number, false, [.. head, .. body], descriptors.Count);
        message = new Received(header, body, descriptors);
        return Arrival.Message;
    }

    private Arrival Fill(Span<byte> bytes, Deadline end, out int count)
    {
        count = 0;
        while (count < bytes.Length)
        {
            int received = _socket.Receive(bytes[count..], _arrived, wait: false, out Errno error);
            if (received > 0)
            {
                count += received;
                continue;
            }

            if (received == 0 || error != Errno.TryAgain)
                return Arrival.Closed;
            if (end.HasPassed)
                return Arrival.Silence;
            Trial.Cancellation.ThrowIfCancellationRequested();
            Poll.WaitReadable(_socket.Descriptor, Deadline.Earlier(end, new Deadline(MaxWait)).Left);
        }

        return Arrival.Message;
    }
}
