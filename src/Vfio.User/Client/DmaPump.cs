using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.User.Client;

/// <summary>Answers the server's DMA requests while no call of the client is under way, on a thread that starts when the
/// first may come.</summary>
/// <remarks>It sleeps on the socket without reading it, and reads only with the client's lock held, so a call that is under way reads its
/// own reply and answers what comes before it.</remarks>
/// <param name="gate">The client's lock.</param>
/// <param name="channel">The connection; must outlive this.</param>
internal sealed class DmaPump(object gate, ClientChannel channel) : IDisposable
{
    private readonly EventLoop _loop = new("vfio-user DMA");
    private EventRegistration? _registration;
    private volatile bool _isDisposed;

    /// <summary>Starts or stops answering; with the lock held.</summary>
    internal void Set(bool isNeeded)
    {
        if (isNeeded && !_isDisposed)
        {
            _registration ??= _loop.Add(channel.Descriptor, Answer);
        }
        else
        {
            _registration?.Cancel();
            _registration = null;
        }
    }

    /// <summary>Waits until it has stopped; without the lock.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        _loop.Dispose();
    }

    private void Answer(EventRegistration registration)
    {
        lock (gate)
        {
            try
            {
                channel.AnswerWaiting();
            }
            catch (VfioException)
            {
                // The connection is broken; the next call of the client throws the reason.
                registration.Cancel();
            }
        }
    }
}
