using System.Collections;
using Vfio.Native;

namespace Vfio;

/// <summary>The vectors of one kind of interrupt that a driver uses; made by <see cref="PciInterrupts"/>. Owns them.</summary>
public sealed class InterruptSet : IReadOnlyList<Interrupt>, IDisposable
{
    private readonly IVfioDevice _device;
    private readonly Interrupt[] _vectors;
    private int _disposed;

    internal InterruptSet(IVfioDevice device, InterruptInfo kind, int count)
    {
        _device = device;
        Kind = kind.Index;
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
    public int Count => _vectors.Length;

    /// <summary>Whether it was disposed.</summary>
    public bool IsDisposed => _disposed != 0;

    /// <summary>One vector.</summary>
    public Interrupt this[int vector] => _vectors[vector];

    /// <inheritdoc/>
    public IEnumerator<Interrupt> GetEnumerator() => ((IEnumerable<Interrupt>)_vectors).GetEnumerator();

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

    private void DisposeVectors()
    {
        foreach (Interrupt? vector in _vectors)
            vector?.DisposeUnbound();
    }
}
