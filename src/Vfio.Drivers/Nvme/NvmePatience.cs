namespace Vfio.Drivers.Nvme;

/// <summary>The waiting between two looks at a completion queue: ends when the controller died or the time is over.</summary>
/// <remarks>Completions are in memory, which a controller that is gone leaves as it was: only its registers tell.</remarks>
internal struct NvmePatience(NvmeControl control, string operation, TimeSpan timeout)
{
    /// <summary>How often registers are read while nothing completes; a read costs about a microsecond.</summary>
    internal const int LookEveryMilliseconds = 100;

    private readonly long _start = Environment.TickCount64;
    private long _nextLook = Environment.TickCount64 + LookEveryMilliseconds;
    private SpinWait _spin;

    /// <summary>Spins, and gives the processor to whoever else wants it.</summary>
    internal void Spin()
    {
        _spin.SpinOnce(sleep1Threshold: -1);
        Look();
    }

    /// <summary>Looks, now and then, whether there is still something to wait for.</summary>
    internal void Look()
    {
        long now = Environment.TickCount64;
        if (now < _nextLook)
            return;
        _nextLook = now + LookEveryMilliseconds;
        control.ThrowIfDead(operation);
        if (now - _start > timeout.TotalMilliseconds)
            throw new VfioException(operation, control.Name, Errno.TimedOut, $"no completion within {timeout.TotalSeconds} s");
    }
}
