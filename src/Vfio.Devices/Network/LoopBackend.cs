namespace Vfio.Devices.Network;

/// <summary>A cable that leads back: each frame that is sent is received.</summary>
internal sealed class LoopBackend : NetBackend
{
    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame) => Port?.Receive(frame);
}
