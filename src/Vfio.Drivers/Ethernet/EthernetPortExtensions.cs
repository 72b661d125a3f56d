namespace Vfio.Drivers.Ethernet;

/// <summary>Short ways to use an <see cref="IEthernetPort"/>.</summary>
public static class EthernetPortExtensions
{
    /// <summary>Sends one frame that is in memory of the caller's.</summary>
    /// <param name="port">The port.</param>
    /// <param name="bytes">From 14 to <see cref="IEthernetPort.MaxFrameBytes"/> bytes; copied.</param>
    /// <returns>False when no buffer or no place to send is free: try again.</returns>
    public static bool TrySend(this IEthernetPort port, ReadOnlySpan<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length, port.MaxFrameBytes, nameof(bytes));
        Span<EthernetFrame> one = stackalloc EthernetFrame[1];
        if (port.Take(one) == 0)
            return false;
        port.Buffers.Write(one[0], 0, bytes);
        one[0] = one[0] with { Length = bytes.Length };
        if (port.Transmit(one) == 1)
            return true;
        port.Return(one);
        return false;
    }
}
