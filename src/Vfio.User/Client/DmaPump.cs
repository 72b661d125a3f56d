using Vfio.Native;

namespace Vfio.User;

/// <summary>A thread that answers the server's DMA requests while no call of the client is under way.</summary>
/// <remarks>It exists only while the server may ask. It sleeps on the socket without reading it, and reads only with the client's gate
/// held, so a call that is under way reads its own reply and answers what comes before it.</remarks>
internal sealed class DmaPump
{
    private readonly object _gate;
    private readonly ClientChannel _channel;
    private readonly EventFd _stop = EventFd.Create();
    private readonly Thread _thread;

    /// <summary>Starts the thread.</summary>
    /// <param name="gate">The client's gate.</param>
    /// <param name="channel">The connection; must outlive the thread.</param>
    internal DmaPump(object gate, ClientChannel channel)
    {
        _gate = gate;
        _channel = channel;
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio-user DMA" };
        _thread.Start();
    }

    /// <summary>Whether the thread runs.</summary>
    internal bool IsAlive => _thread.IsAlive;

    /// <summary>Asks the thread to end; called once.</summary>
    internal void Stop() => _stop.Signal();

    /// <summary>Waits until it has, after <see cref="Stop"/>; with the gate open.</summary>
    internal void Join()
    {
        if (_thread != Thread.CurrentThread)
            _thread.Join();
    }

    private void Run()
    {
        while (WaitForRequest() && TryAnswer())
        {
        }

        _stop.Wait(Timeout.InfiniteTimeSpan);
        _stop.Dispose();
    }

    /// <summary>Sleeps until the server has sent something.</summary>
    /// <returns>False once the thread is to stop.</returns>
    private bool WaitForRequest()
    {
        Span<bool> ready = [false, false];
        while (Poll.WaitAny([_channel.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan) == 0)
        {
        }

        return !ready[1];
    }

    /// <summary>Answers.</summary>
    /// <returns>False when the connection is broken; the next call of the client says why.</returns>
    private bool TryAnswer()
    {
        lock (_gate)
        {
            try
            {
                _channel.AnswerWaiting();
                return true;
            }
            catch (VfioException)
            {
                return false;
            }
        }
    }
}
