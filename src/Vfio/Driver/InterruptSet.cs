using System.Collections;
using Vfio.Native;

namespace Vfio;

/// <summary>The vectors of one kind of interrupt that a driver uses; made by <see cref="PciInterrupts"/>. Owns them.</summary>
public sealed class InterruptSet : IReadOnlyList<Interrupt>, IDisposable
{
    private readonly IVfioDevice _device;
    private Interrupt[] _vectors;
    private int _disposed;

    internal InterruptSet(IVfioDevice device, InterruptInfo kind, int count)
    {
        _device = device;
        Kind = kind.Index;
        Count = count;
        _vectors = new Interrupt[count];
        try
        {
            FileDescriptor?[] events = new FileDescriptor?[count];
            for (int i = 0; i < count; i++)
            {
                _vectors[i] = new Interrupt(device, kind, i);
                events[i] = _vectors[i].Event.Descriptor;
            }

            device.SetInterrupts(InterruptRequest.Bind(kind.Index, InterruptAction.Trigger, 0, events));
        }
        catch (VfioException)
        {
            DisposeVectors();
            throw;
        }
    }

    /// <summary>Which kind of interrupt.</summary>
    public InterruptIndex Kind { get; }

    /// <summary>How many vectors.</summary>
    public int Count { get; }

    /// <summary>Whether it was disposed.</summary>
    public bool IsDisposed => _disposed != 0;

    /// <summary>The vectors; none once disposed.</summary>
    internal IReadOnlyList<Interrupt> Vectors => _vectors;

    /// <summary>One vector.</summary>
    /// <param name="vector">From 0, below <see cref="Count"/>.</param>
    public Interrupt this[int vector]
    {
        get
        {
            Interrupt[] vectors = _vectors;
            return (uint)vector < (uint)vectors.Length ? vectors[vector] : throw NoVector(vector);
        }
    }

    /// <inheritdoc/>
    public IEnumerator<Interrupt> GetEnumerator()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return ((IEnumerable<Interrupt>)_vectors).GetEnumerator();
    }

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Disables this kind of interrupt and frees the vectors.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        try
        {
            _device.SetInterrupts(InterruptRequest.Disable(Kind));
        }
        catch (VfioException)
        {
            // A device that was removed fires nothing.
        }
        finally
        {
            DisposeVectors();
        }
    }

    /// <summary>Restores the state after a reset of the device: nothing is pending, and nothing may stay masked.</summary>
    internal void Refresh()
    {
        foreach (Interrupt vector in _vectors)
        {
            if (vector.IsDisposed)
                continue;
            vector.Forget();
            vector.Rearm();
        }
    }

    private void DisposeVectors()
    {
        Interrupt[] vectors = _vectors;
        _vectors = [];
        foreach (Interrupt? vector in vectors)
            vector?.DisposeUnbound();
    }

    private Exception NoVector(int vector) => IsDisposed
        ? new ObjectDisposedException(GetType().FullName)
        : new ArgumentOutOfRangeException(nameof(vector), vector, $"the vectors in use are 0 to {Count - 1}");
}
