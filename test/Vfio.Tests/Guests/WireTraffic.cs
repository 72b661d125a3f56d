using Vfio.Drivers.Ethernet;

namespace Vfio.Tests.Guests;

/// <summary>A peer that asks and asks on a cable, a few questions ahead of the answers, until it is disposed.</summary>
internal sealed class WireTraffic : IDisposable
{
    private const int Ahead = 32;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private long _answers;

    /// <summary>Starts to ask.</summary>
    /// <param name="wire">Which nobody else uses meanwhile.</param>
    /// <param name="question">What is sent.</param>
    /// <param name="asker">To whom answers go.</param>
    internal WireTraffic(GuestWire wire, byte[] question, MacAddress asker) => _running = Task.Factory.StartNew(
        () => Run(wire, question, asker), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>How many answers came.</summary>
    internal long Answers => Volatile.Read(ref _answers);

    /// <summary>Waits until it goes on: for more answers than were under way.</summary>
    internal void AssertFlows()
    {
        long before = Answers;
        bool flows = SpinWait.SpinUntil(() => Answers > before + (2 * Ahead) || _running.IsCompleted, HangGuard.Timeout);
        Assert.True(flows, "answers do not come");
        Assert.False(_running.IsCompleted, $"the peer failed: {_running.Exception}");
    }

    public void Dispose()
    {
        _stop.Cancel();
        _running.Wait();
        _stop.Dispose();
    }

    private void Run(GuestWire wire, byte[] question, MacAddress asker)
    {
        for (long asked = 0; !_stop.IsCancellationRequested;)
        {
            bool isIdle = true;
            if (asked < _answers + Ahead)
            {
                wire.Send(question);
                asked++;
                isIdle = false;
            }

            while (wire.TryReceive() is { } frame)
            {
                if (MacAddress.Read(frame) == asker)
                    Volatile.Write(ref _answers, _answers + 1);
                isIdle = false;
            }

            if (isIdle)
                _stop.Token.WaitHandle.WaitOne(1);
        }
    }
}
