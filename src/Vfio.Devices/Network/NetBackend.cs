namespace Vfio.Devices.Network;

/// <summary>What is at the other end of an emulated port's cable.</summary>
/// <remarks>The other end may be hostile: it decides neither on threads nor on memory here.</remarks>
internal abstract class NetBackend : IDisposable
{
    private INetPort? _port;

    /// <summary>Whether somebody is at the other end: the port has a link then.</summary>
    internal virtual bool IsUp => true;

    /// <summary>The port, once it is plugged in.</summary>
    protected INetPort? Port => Volatile.Read(ref _port);

    /// <summary>Plugs the port in. Frames come from now on, on any thread.</summary>
    internal void Attach(INetPort port)
    {
        Volatile.Write(ref _port, port);
        OnAttached();
    }

    /// <summary>Sends a frame, or drops it. Returns within milliseconds, whatever the other end does.</summary>
    /// <param name="frame">From the destination address on, without the frame check sequence: 14 to <see cref="INetPort.LongestFrame"/>
    /// bytes.</param>
    internal abstract void Send(ReadOnlySpan<byte> frame);

    /// <inheritdoc/>
    public void Dispose()
    {
        Volatile.Write(ref _port, null);
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Called once, when frames may be given to <see cref="Port"/>.</summary>
    protected virtual void OnAttached()
    {
    }

    /// <summary>Ends threads, closes sockets.</summary>
    /// <param name="disposing">False from a finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
    }
}
