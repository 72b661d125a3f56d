namespace Vfio.Devices.Network;

/// <summary>Records what goes over a cable, both ways.</summary>
/// <param name="inner">The other end; owned.</param>
/// <param name="recorder">Where to; owned.</param>
internal sealed class RecordingBackend(NetBackend inner, PcapngRecorder recorder) : NetBackend
{
    /// <inheritdoc/>
    internal override bool IsUp => inner.IsUp;

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
        recorder.Record(frame, isInbound: false);
        inner.Send(frame);
    }

    /// <inheritdoc/>
    protected override void OnAttached() => inner.Attach(new Tap(Port!, recorder));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        inner.Dispose();
        recorder.Dispose();
    }

    private sealed class Tap(INetPort port, PcapngRecorder recorder) : INetPort
    {
        public bool IsReceiving => port.IsReceiving;

        public bool TryReceive(ReadOnlySpan<byte> frame)
        {
            if (!port.TryReceive(frame))
                return false;
            recorder.Record(frame, isInbound: true);
            return true;
        }

        public void WaitForRoom(int bytes, TimeSpan timeout) => port.WaitForRoom(bytes, timeout);

        public void Receive(ReadOnlySpan<byte> frame)
        {
            recorder.Record(frame, isInbound: true);
            port.Receive(frame);
        }

        public void LinkChanged() => port.LinkChanged();
    }
}
