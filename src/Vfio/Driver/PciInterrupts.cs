namespace Vfio;

/// <summary>The interrupts of a PCI function: how many it has, and which its driver uses.</summary>
/// <remarks>One of INTx, MSI and MSI-X is in use at a time; <see cref="InterruptIndex.Error"/> and
/// <see cref="InterruptIndex.Request"/> are independent of it. Any thread may use it.</remarks>
public sealed class PciInterrupts : IDisposable
{
    private static readonly InterruptIndex[] BestFirst = [InterruptIndex.Msix, InterruptIndex.Msi, InterruptIndex.Intx];
    private readonly IVfioDevice _device;
    private readonly List<InterruptSet> _enabled = [];
    private readonly Lock _lock = new();
    private volatile bool _disposed;

    internal PciInterrupts(IVfioDevice device) => _device = device;

    /// <summary>How many vectors of a kind the function has.</summary>
    public int Count(InterruptIndex kind)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return kind.Value < _device.Info.InterruptCount ? _device.GetInterrupt(kind).Count : 0;
    }

    /// <summary>Enables as many vectors as there are, of the best kind there is: MSI-X, then MSI, then INTx.</summary>
    /// <param name="wanted">How many the driver can use, from 1.</param>
    /// <returns>From 1 to <paramref name="wanted"/> vectors: a driver distributes its work over them.</returns>
    /// <exception cref="VfioException">ENOENT: the function has no interrupt; else the device's refusal.</exception>
    public InterruptSet Enable(int wanted)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(wanted, 1);
        VfioException? refusal = null;
        foreach (InterruptIndex kind in BestFirst)
        {
            for (int count = Math.Min(wanted, Count(kind)); count > 0; count /= 2)
            {
                try
                {
                    return Enable(kind, count);
                }
                catch (VfioException exception) when (exception.Errno == Errno.NoSpace)
                {
                    // The machine has fewer vectors left than the function has.
                    refusal = exception;
                }
            }
        }

        throw refusal ?? new VfioException("use of interrupts", _device.Name, Errno.NoEntry, "the function has none; poll it");
    }

    /// <summary>Enables vectors of one kind, from 0 on.</summary>
    /// <param name="kind">Which kind.</param>
    /// <param name="count">How many, from 1.</param>
    /// <exception cref="VfioException">EINVAL: the function has fewer; EBUSY: another of INTx, MSI and MSI-X is in use.</exception>
    public InterruptSet Enable(InterruptIndex kind, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        int available = Count(kind);
        if (count > available)
            throw new VfioException($"use of {count} {kind} vectors", _device.Name, Errno.InvalidArgument, $"it has {available}");
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _enabled.RemoveAll(set => set.IsDisposed);
            if (_enabled.Find(set => set.Kind == kind || (IsDelivery(kind) && IsDelivery(set.Kind))) is { } other)
                throw new VfioException($"use of {kind}", _device.Name, Errno.Busy, $"dispose the {other.Kind} vectors in use first");
            InterruptSet made = new(_device, _device.GetInterrupt(kind), count);
            _enabled.Add(made);
            return made;
        }
    }

    /// <summary>Enables the provider's release request (REQ): finish what is under way and dispose the device.</summary>
    /// <returns>The interrupt; the same at every call. A request from before the call is not lost.</returns>
    /// <exception cref="VfioException">EINVAL: this provider never requests it.</exception>
    public Interrupt EnableReleaseRequest() => Listen(InterruptIndex.Request);

    /// <summary>Enables reports of errors that the device could not correct (ERR): reset it and start again, or dispose it.</summary>
    /// <returns>The interrupt; the same at every call.</returns>
    /// <exception cref="VfioException">EINVAL: this provider does not report errors.</exception>
    public Interrupt EnableError() => Listen(InterruptIndex.Error);

    /// <summary>Turns all interrupts off, for good.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _enabled.ForEach(set => set.Dispose());
            _enabled.Clear();
        }
    }

    /// <summary>Restores the state after a reset: nothing is pending, and nothing may stay masked.</summary>
    internal void Refresh()
    {
        lock (_lock)
        {
            foreach (InterruptSet set in _enabled.Where(set => IsDelivery(set.Kind)))
                set.Refresh();
        }
    }

    private Interrupt Listen(InterruptIndex kind)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return (_enabled.Find(set => set.Kind == kind && !set.IsDisposed) ?? Enable(kind, 1))[0];
        }
    }

    private static bool IsDelivery(InterruptIndex kind) => Array.IndexOf(BestFirst, kind) >= 0;
}
