namespace Vfio.Devices.Network;

/// <summary>A link partner that sends nothing: there is a link, and no frame comes back.</summary>
internal sealed class NoBackend : NetBackend
{
    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
    }
}
