using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User.Handover;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <content>The handover of a session to another process; its client notices only a pause.</content>
internal sealed partial class ServerSession
{
    private static readonly TimeSpan QuietTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Whether a successor has the session now.</summary>
    internal bool HasDeparted { get; private set; }

    /// <summary>Takes a session of another process over; nothing happens before <see cref="Run"/>.</summary>
    /// <exception cref="VfioException">It cannot be taken over; see <see cref="IHandoverDevice.TakeOver"/>.</exception>
    internal void Restore(HandoverReader from)
    {
        _messages = from.Read<long>();
        _limits = from.Read<SessionLimits>();
        if (_limits.ServerTransferBytes > _options.MaxDataTransferBytes || _limits.ClientTransferBytes < 0 || _limits.MaxDescriptors < 0)
        {
            throw new VfioException(
                "taking over", "a session", Errno.InvalidArgument, $"its client may send {_limits.ServerTransferBytes} bytes in a message");
        }

        _channel.Restore(from);
        if (!from.ReadBool())
            return;
        if (from.ReadBool())
        {
            UnixSocket twin = new(from.TakeDescriptor()) { Sender = _channel.Sender };
            _channel.Twin = new TwinChannel(twin, _buffers.Twin, _options.DmaTimeout, _channel.Capture?.Twin(), _channel.Stop);
            _channel.Twin.Restore(from);
        }

        OpenDevice(from);
    }

    /// <summary>Called when the other process has released the session: the device runs here from now on.</summary>
    internal void Resume()
    {
        Handover(_device)?.Resume();
        ServerLog.TookOver(_logger, _device?.Name ?? "no device", _messages);
    }

    /// <summary>Releases a session that was restored, because the other process continues with it.</summary>
    internal void Abandon()
    {
        Handover(_device)?.Depart();
        LetGo();
    }

    /// <summary>Hands the session over to the successor that asks, or refuses with a reason. Between two messages; all replies were
    /// sent.</summary>
    /// <returns>Whether it was handed over.</returns>
    private bool TryHandOver(ISessionHandover point)
    {
        IHandoverDevice? device = Handover(_device);
        if (_device is not null && device is null)
        {
            // The socket is handed over without it, once the session has ended; a client that reconnects finds the successor.
            ServerLog.StaysBehind(_logger, _device.Name);
            _channel.Stop("a successor took over, and the device cannot be handed over");
            return false;
        }

        DeviceHandover? suspended = null;
        try
        {
            suspended = device?.Suspend();
            HandoverWriter to = point.Begin();
            to.Write(true);
            Save(to, suspended);
            HasDeparted = point.TryGive(to);
        }
        catch (VfioException refusal)
        {
            point.Refuse(refusal.Message);
        }

        if (HasDeparted)
        {
            device?.Depart();
            LetGo();
        }
        else if (suspended is not null)
        {
            device!.Resume();
        }

        return HasDeparted;
    }

    private static IHandoverDevice? Handover(IVfioDevice? device) =>
        device is not null && device.TryGet(out IHandoverDevice? handover) ? handover : null;

    private void Save(HandoverWriter to, DeviceHandover? device)
    {
        if (!_channel.IsQuiet(QuietTimeout))
            throw new VfioException("handover", "a session", Errno.Busy, "the device still waits for its client's memory");
        to.Write(_channel.Descriptor);
        to.Write(_messages);
        to.Write(_limits);
        _channel.Save(to);
        to.Write(device is not null);
        if (device is null)
            return;
        to.Write(_channel.Twin is not null);
        _channel.Twin?.Save(to);
        _dma!.Save(to, device.Mappings);
        HandedDevice.Write(to, device);
    }

    private void LetGo()
    {
        _channel.LetGo();
        _dma?.Dispose();
        _regions?.Dispose();
    }
}
