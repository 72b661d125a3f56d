using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>The session of one client: negotiates, opens the device, answers commands, and disposes the device.</summary>
/// <remarks>One thread owns it: the one that makes it and calls <see cref="Run"/>. Any thread may call <see cref="Stop"/>.
/// Commands are carried out one after the other, in the order in which they came.</remarks>
internal sealed partial class ServerSession
{
    private readonly Func<IVfioDevice> _open;
    private readonly VfioUserServerOptions _options;
    private readonly ILogger _logger;
    private readonly ISessionHandover? _handover;
    private readonly ServerChannel _channel;
    private readonly Counter<long> _counter = ServerTelemetry.Messages;
    private readonly SessionBuffers _buffers;
    private readonly FileDescriptor?[] _descriptors;
    private IVfioDevice? _device;
    private RegionCommands? _regions;
    private InterruptCommands? _interrupts;
    private DmaCommands? _dma;
    private UnixSocket? _twin;
    private MigrationCommands? _migration;
    private string? _refusal;
    private SessionLimits _limits;
    private int _collections;
    private long _messages;

    /// <summary>Makes a session on a connection.</summary>
    /// <param name="open">Opens the device.</param>
    /// <param name="socket">The connection; used until <see cref="Run"/> returns.</param>
    /// <param name="buffers">Empty buffers; used until <see cref="Run"/> returns.</param>
    /// <param name="options">Limits.</param>
    /// <param name="handover">The socket for successors; the caller keeps it. Null for none.</param>
    internal ServerSession(
        Func<IVfioDevice> open, UnixSocket socket, SessionBuffers buffers, VfioUserServerOptions options, ISessionHandover? handover)
    {
        _open = open;
        _options = options;
        _logger = options.Logger;
        _buffers = buffers;
        _descriptors = buffers.Descriptors;
        _handover = handover;
        _channel = new ServerChannel(socket, buffers, options, handover);
    }

    /// <summary>The buffers that the session uses.</summary>
    internal SessionBuffers Buffers => _buffers;

    /// <summary>Whether the client has memory mapped or an eventfd bound, so that it uses the device even without messages; any thread may
    /// read it.</summary>
    internal bool IsInUse => _dma is { HasMappings: true } || _interrupts is { HasBound: true };

    /// <summary>How many messages were answered; any thread may read it.</summary>
    internal long MessageCount => Volatile.Read(ref _messages);

    /// <summary>Why the session is over; null while it is not.</summary>
    internal string? EndReason => _channel.EndReason;

    /// <summary>The device's name, for messages; any thread may read it.</summary>
    internal string DeviceName => _device?.Name ?? "no device";

    /// <summary>Ends the session: <see cref="Run"/> returns once the command under way is done.</summary>
    internal void Stop(string reason) => _channel.Stop(reason);

    /// <summary>Serves until the client or the server ends the session. No message of a client makes it throw.</summary>
    internal void Run()
    {
        using Activity? span = ServerTelemetry.StartSession();
        _channel.Own();
        // A session that never sleeps is never woken.
        BatchScheduling scheduling = new(_options.LeavesCoreToClient && _options.SpinTime >= TimeSpan.Zero);
        _collections = GC.CollectionCount(0);
        try
        {
            Serve(scheduling);
        }
        catch (Exception failure)
        {
            // A fault of this library or of the process, for example out of memory. The next client may succeed.
            ServerLog.SessionFailed(_logger, failure);
            span?.SetStatus(ActivityStatusCode.Error, failure.Message);
        }
        finally
        {
            scheduling.End();
            if (!HasDeparted)
                End();
            ServerTelemetry.EndSession(span, _device?.Name, _messages, _channel.EndReason);
        }
    }

    private void Serve(BatchScheduling scheduling)
    {
        Deadline handshake = new(_options.HandshakeTimeout);
        while (_channel.WaitForCommands(_device is null ? handshake : new Deadline(_options.IdleTimeout)))
        {
            scheduling.Woken();
            AnswerAll();
            if (_handover is { IsAsked: true } && !_channel.IsStopped && TryHandOver(_handover))
                return;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AnswerAll()
    {
        long before = _messages;
        while (!_channel.IsStopped && _channel.TryTake(out MessageHeader header, out ReadOnlySpan<byte> body, out int position))
        {
            int count = _channel.Claim(position, _descriptors, out bool lost);
            if (count == 0)
                Answer(header, body, default, lost);
            else
                AnswerWithDescriptors(header, body, count, lost);
        }

        _channel.Flush();
        if (_counter.Enabled)
            _counter.Add(_messages - before);
    }

    private void AnswerWithDescriptors(in MessageHeader header, ReadOnlySpan<byte> body, int count, bool lost)
    {
        try
        {
            Answer(header, body, _descriptors.AsSpan(0, count), lost);
        }
        finally
        {
            for (int i = 0; i < count; i++)
            {
                _descriptors[i]!.Dispose();
                _descriptors[i] = null;
            }
        }
    }

    private void CountRefusal(Command command, Errno error)
    {
        ServerTelemetry.CountRefusal();
        if (_logger.IsEnabled(LogLevel.Debug))
            ServerLog.Refused(_logger, _device?.Name ?? "no device", command, error);
    }

    private void Answer(in MessageHeader header, ReadOnlySpan<byte> body, ReadOnlySpan<FileDescriptor?> descriptors, bool lost)
    {
        ReplyBuffer reply = _channel.Replies;
        _messages++;
        reply.Open();
        Errno error = lost ? Errno.TooManyOpenFiles : TryExecute(header.Command, body, descriptors, reply);
        if (error != Errno.None)
            CountRefusal(header.Command, error);
        if (header.WantsNoReply)
            reply.Drop();
        else
            SendReply(header, error, reply);
        if (_twin is not null)
        {
            _twin.Dispose();
            _twin = null;
        }

        if (_refusal is string reason)
        {
            _channel.Flush();
            _channel.Stop(reason);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SendReply(in MessageHeader header, Errno error, ReplyBuffer reply)
    {
        if (error == Errno.None && reply.Descriptors is FileDescriptor[] descriptors)
        {
            // Descriptors are sent with the first byte of their message, so waiting replies are sent before it, without them.
            reply.Descriptors = null;
            _channel.Flush();
            reply.Descriptors = descriptors;
        }

        reply.Close(header, error);
        if (reply.IsUrgent)
            _channel.Flush();
    }

    private Errno TryExecute(Command command, ReadOnlySpan<byte> body, ReadOnlySpan<FileDescriptor?> descriptors, ReplyBuffer reply)
    {
        try
        {
            return _device is null ? Negotiate(command, body, reply) : Execute(command, body, descriptors, reply);
        }
        catch (VfioException refusal)
        {
            if (_device is null)
                _refusal = $"{_refusal}: {refusal.Message}";
            return refusal.Errno is > 0 and < (Errno)4096 ? refusal.Errno : Errno.InputOutput;
        }
        catch (Exception failure)
        {
            // A bug of the device is not the client's fault, and does not end this process.
            ServerLog.DeviceFailed(_logger, failure, _device?.Name ?? "opening the device", command.ToString());
            return Errno.InputOutput;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Errno Execute(Command command, ReadOnlySpan<byte> body, ReadOnlySpan<FileDescriptor?> descriptors, ReplyBuffer reply)
    {
        switch (command)
        {
            case Command.RegionRead:
                return _regions!.Read(body, reply);
            case Command.RegionWrite:
                return _regions!.Write(body, reply);
            case Command.DmaMap:
                return _dma!.Map(body, descriptors);
            case Command.DmaUnmap:
                return _dma!.Unmap(body, reply);
            case Command.DeviceGetInfo:
                return _regions!.DescribeDevice(body, reply);
            case Command.DeviceGetRegionInfo:
                return _regions!.DescribeRegion(body, reply);
            case Command.DeviceGetIrqInfo:
                return _interrupts!.Describe(body, reply);
            case Command.DeviceSetIrqs:
                return _interrupts!.Set(body, descriptors);
            case Command.DeviceReset:
                _device!.Reset();
                return Errno.None;
            case Command.RegionWriteMulti:
                return _regions!.WriteMulti(body, reply);
            case Command.DeviceGetRegionIoFds:
                return _regions!.DescribeDoorbells(body, reply);
            case Command.DeviceFeature:
                return _migration!.Feature(body, reply);
            case Command.MigDataRead:
                return _migration!.ReadData(body, reply);
            case Command.MigDataWrite:
                return _migration!.WriteData(body);
            default:
                // VERSION a second time, commands that only a server sends, and unknown numbers.
                return Errno.InvalidArgument;
        }
    }

    private Errno Negotiate(Command command, ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        // Before VERSION has succeeded, any failure is answered and then ends the session.
        _refusal = "the version could not be agreed";
        if (command != Command.Version)
            return Errno.InvalidArgument;
        Errno verdict = RequestValidator.Version(body, out VersionMessage version, out Capabilities theirs);
        if (verdict != Errno.None)
            return verdict;
        _refusal = "the device could not be opened";
        int maxTransfer = (int)Math.Min(theirs.MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes, (ulong)_options.MaxDataTransferBytes);
        int maxMaps = (int)Math.Min(theirs.MaxDmaMaps ?? Protocol.DefaultDmaMaps, (ulong)_options.MaxDmaMaps);
        int maxDescriptors = (int)Math.Min(theirs.MaxMessageDescriptors ?? 1, UnixSocket.MaxDescriptors);
        _limits = new SessionLimits(_options.MaxDataTransferBytes, maxTransfer, maxMaps, maxDescriptors);
        OpenDevice(from: null);
        _refusal = null;
        if (theirs is { TwinSocket: true, MaxMessageDescriptors: not 0 })
            OpenTwin(reply);
        version.Minor = Math.Min(version.Minor, Protocol.MinorVersion);
        reply.Append(version);
        byte[] ours = CapabilitiesJson.Write(Offer(theirs));
        ours.CopyTo(reply.Append(ours.Length));
        ServerLog.Opened(_logger, _device!.Name, version.Minor);
        return Errno.None;
    }

    /// <summary>The server's capabilities among those that the client named: the reply may have no others.</summary>
    private Capabilities Offer(in Capabilities theirs) => new()
    {
        MaxMessageDescriptors = theirs.MaxMessageDescriptors is null ? null : Protocol.MaxDescriptors,
        MaxDataTransferBytes = theirs.MaxDataTransferBytes is null ? null : (ulong)_options.MaxDataTransferBytes,
        MaxDmaMaps = theirs.MaxDmaMaps is ulong maps ? Math.Min(maps, (ulong)_options.MaxDmaMaps) : null,
        PageSizes = theirs.PageSizes is null ? null : Protocol.PageBytes,
        WriteMultiple = theirs.WriteMultiple is null ? null : true,
        TwinSocket = theirs.TwinSocket is null ? null : _twin is not null,
        TwinSocketDescriptor = _twin is null ? null : 0,
        MigrationPageBytes = theirs.MigrationPageBytes is not null && _migration!.HasAny ? Protocol.PageBytes : null,
    };

    /// <summary>Makes the twin socket; the client's end is sent with the reply.</summary>
    private void OpenTwin(ReplyBuffer reply)
    {
        UnixSocket ours;
        try
        {
            (ours, _twin) = UnixSocket.CreatePair();
        }
        catch (VfioException)
        {
            // Out of descriptors: one socket then carries both directions.
            return;
        }

        ours.Sender = _channel.Sender;
        _channel.Twin = new TwinChannel(ours, _buffers.Twin, _options.DmaTimeout, _channel.Capture?.Twin(), _channel.Stop);
        reply.Descriptors = [_twin.Descriptor];
    }

    /// <summary>Opens the device, and restores the state that another process handed over, if any.</summary>
    private void OpenDevice(HandoverReader? from)
    {
        IVfioDevice device = _open();
        try
        {
            _dma = new DmaCommands(device, _limits.MaxMappings, _options, new ClientMemory(_channel, _limits.ClientTransferBytes));
            if (from is not null)
                TakeOver(device, from);
            _regions = new RegionCommands(device, _options.MaxDataTransferBytes, _limits.MaxDescriptors, _options.KeepsFiles);
            _interrupts = new InterruptCommands(device);
            _migration = new MigrationCommands(device, _options.MaxDataTransferBytes);
            _device = device;
        }
        finally
        {
            if (_device is null && from is not null && device.TryGet(out IHandoverDevice? shared))
                shared.Depart();
            if (_device is null)
                device.Dispose();
        }
    }

    private void TakeOver(IVfioDevice device, HandoverReader from)
    {
        if (!device.TryGet(out IHandoverDevice? target))
            throw new VfioException("taking over", device.Name, Errno.NoSuchOperation, "the device cannot take a state over");
        target.TakeOver(HandedDevice.Read(from, _dma!.Restore(from)));
    }

    /// <summary>Ends in this order: no more DMA requests, the device disposed and its references released, then the memory.</summary>
    private void End()
    {
        string reason = _channel.EndReason ?? "the server failed";
        _channel.Stop(reason);
        if (_device is null)
        {
            ServerLog.ClientRefused(_logger, reason);
        }
        else
        {
            try
            {
                _device.Dispose();
            }
            catch (Exception failure)
            {
                ServerLog.DeviceFailed(_logger, failure, _device.Name, "closing");
            }

            ServerLog.Ended(_logger, _device.Name, _messages, GC.CollectionCount(0) - _collections, reason);
        }

        _channel.Leave();
        _dma?.Dispose();
        _regions?.Dispose();
    }
}
