namespace Vfio.Devices.Network;

/// <summary>A partner that is silent: there is a link, and no frame comes back.</summary>
internal sealed class NoBackend : NetBackend
{
    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
    }
}
