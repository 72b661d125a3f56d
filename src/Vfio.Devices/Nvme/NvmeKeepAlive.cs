namespace Vfio.Devices.Nvme;

/// <summary>The Keep Alive timer: a driver that has set it and sends no commands loses its controller.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 3.9.</remarks>
/// <param name="clock">The clock.</param>
/// <param name="expired">Called on a thread of the clock, once.</param>
internal sealed class NvmeKeepAlive(TimeProvider clock, Action expired) : IDisposable
{
    /// <summary>Granularity of the timeout in units of 100 ms: KAS.</summary>
    internal const int Granularity = 10;

    private const uint GranularityMilliseconds = Granularity * 100;
    private readonly Lock _lock = new();
    private ITimer? _timer;
    private uint _milliseconds;

    /// <summary>KATO in milliseconds, as it is kept: rounded up to the granularity. 0 is off.</summary>
    internal uint Milliseconds
    {
        get => _milliseconds;
        set
        {
            lock (_lock)
            {
                _timer?.Dispose();
                _milliseconds = (uint)Math.Min(
                    ((value + (ulong)GranularityMilliseconds - 1) / GranularityMilliseconds) * GranularityMilliseconds,
                    int.MaxValue / GranularityMilliseconds * GranularityMilliseconds);
                _timer = _milliseconds == 0 ? null : Start();
            }
        }
    }

    /// <summary>The driver is alive.</summary>
    internal void Renew()
    {
        lock (_lock)
        {
            if (_timer is null)
                return;
            _timer.Dispose();
            _timer = Start();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _timer?.Dispose();
            _timer = null;
        }
    }

    private ITimer Start() =>
        clock.CreateTimer(_ => expired(), null, TimeSpan.FromMilliseconds(_milliseconds), Timeout.InfiniteTimeSpan);
}
