using Vfio.Native;

namespace Vfio.Drivers.Nvme;

/// <summary>The commands of a block device: takes, submits, waits for them and gives them back, from any thread.</summary>
internal sealed class NvmeOperations : IDisposable
{
    private const int ReapAtOnce = 32;
    private const string Waiting = "wait for a command";
    private static readonly TimeSpan WatchEvery = TimeSpan.FromSeconds(1);
    private readonly Lock _lock = new();
    private readonly NvmeNamespace _namespace;
    private readonly NvmeQueuePair _queue;
    private readonly DmaBuffer _buffer;
    private readonly NvmeOperation[] _all;
    private readonly Stack<NvmeOperation> _free;
    private readonly bool[] _inFlight;
    private readonly SemaphoreSlim _available;
    private readonly Timer? _watch;
    private readonly Task _reaping = Task.CompletedTask;
    private Exception? _failure;

    internal NvmeOperations(NvmeNamespace target, NvmeBlockDeviceOptions options, int commandBytes)
    {
        _namespace = target;
        NvmeController controller = target.Controller;
        int depth = Math.Min(options.Depth, controller.MaxDepth);
        _queue = controller.CreateQueuePair(depth, options.Interrupts && controller.HasInterrupts);
        try
        {
            _buffer = controller.Device.AllocateDma((long)depth * commandBytes);
        }
        catch
        {
            _queue.Dispose();
            throw;
        }

        _all = [.. Enumerable.Range(0, depth).Select(i => new NvmeOperation(i, _buffer, (long)i * commandBytes))];
        _free = new Stack<NvmeOperation>(_all);
        _inFlight = new bool[depth];
        _available = new SemaphoreSlim(depth);
        if (_queue.Interrupt is not { } interrupt)
            return;
        _reaping = ReapAsync(interrupt);
        _watch = new Timer(_ => Watch(), null, WatchEvery, WatchEvery);
    }

    /// <summary>Takes an operation if one is free.</summary>
    internal NvmeOperation? TryTake() => _available.Wait(0) ? Take() : null;

    /// <summary>Takes an operation; waits for one that another caller releases.</summary>
    internal NvmeOperation TakeWhenFree()
    {
        _available.Wait();
        return Take();
    }

    /// <summary>Takes an operation; waits for one that another caller releases.</summary>
    internal async ValueTask<NvmeOperation> TakeAsync(CancellationToken cancellationToken)
    {
        await _available.WaitAsync(cancellationToken).ConfigureAwait(false);
        return Take();
    }

    /// <summary>Puts a command into the queue; <see cref="RingDoorbell"/> tells the controller.</summary>
    internal void Start(NvmeOperation operation, byte opcode, long at, int bytes)
    {
        lock (_lock)
        {
            operation.Begin(opcode, at, bytes, CommandTimeout);
            if (_failure is not null)
            {
                operation.Fail(_failure);
                return;
            }

            // There are as many operations as commands in flight, so one is free.
            long block = bytes == 0 ? 0 : at / _namespace.BlockBytes;
            int blocks = bytes == 0 ? 0 : bytes / _namespace.BlockBytes;
            ulong tag = (ulong)operation.Index;
            _inFlight[operation.Index] = opcode switch
            {
                NvmeOpcode.Read => _queue.TryRead(_namespace, block, blocks, operation.Buffer, operation.BufferOffset, tag),
                NvmeOpcode.Write => _queue.TryWrite(_namespace, block, blocks, operation.Buffer, operation.BufferOffset, tag),
                _ => _queue.TryFlush(_namespace, tag),
            };
        }
    }

    /// <summary>Tells the controller of all commands that were started.</summary>
    internal void RingDoorbell()
    {
        lock (_lock)
        {
            if (_failure is null)
                Guarded(static self => self._queue.RingDoorbell());
        }
    }

    /// <summary>Waits until an operation is over.</summary>
    internal void Wait(NvmeOperation operation)
    {
        if (_queue.Interrupt is not null)
        {
            operation.Sleep();
            return;
        }

        NvmeWait wait = Control.BeginWait(Waiting, CommandTimeout);
        while (true)
        {
            lock (_lock)
                Guarded(static self => self.Reap());
            if (operation.HasEnded)
                return;
            try
            {
                wait.SpinOnce();
                wait.ThrowIfOver();
            }
            catch (VfioException exception)
            {
                Fail(exception);
            }
        }
    }

    /// <summary>Completes when an operation is over.</summary>
    internal ValueTask WaitAsync(NvmeOperation operation)
    {
        if (_queue.Interrupt is null)
            Wait(operation);
        return operation.WaitAsync();
    }

    /// <summary>Gives an operation back that is over.</summary>
    internal void Return(NvmeOperation operation)
    {
        lock (_lock)
            _free.Push(operation);
        _available.Release();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch?.Dispose();
        Fail(new ObjectDisposedException(nameof(NvmeBlockDevice)));
        _queue.Interrupt?.Event.Signal();
        _reaping.GetAwaiter().GetResult();

        // Calls that are under way fail now; the buffer goes when the last has let go of its part.
        for (int i = 0; i < _all.Length; i++)
            _available.Wait();
        lock (_lock)
            _queue.Dispose();
        _buffer.Dispose();
        _available.Release(_all.Length);
    }

    private NvmeControl Control => _namespace.Controller.Control;

    private TimeSpan CommandTimeout => _namespace.Controller.Options.CommandTimeout;

    private NvmeOperation Take()
    {
        lock (_lock)
            return _free.Pop();
    }

    private async Task ReapAsync(Interrupt interrupt)
    {
        try
        {
            while (_failure is null)
            {
                await interrupt.WaitAsync().ConfigureAwait(false);
                lock (_lock)
                    Guarded(static self => self.Reap());
            }
        }
        catch (Exception exception) when (exception is VfioException or ObjectDisposedException)
        {
            Fail(exception);
        }
    }

    // A controller that is gone interrupts no more.
    private void Watch()
    {
        lock (_lock)
        {
            Guarded(static self =>
            {
                self.Reap();
                self.CheckInFlight();
            });
        }
    }

    private void CheckInFlight()
    {
        if (!_inFlight.Contains(true))
            return;
        Control.ThrowIfDead(Waiting);
        foreach (NvmeOperation operation in _all)
        {
            if (_inFlight[operation.Index] && operation.End.HasPassed)
                throw Control.NotInTime(Waiting, CommandTimeout);
        }
    }

    private void Reap()
    {
        if (_failure is not null)
            return;
        Span<NvmeCompleted> completed = stackalloc NvmeCompleted[ReapAtOnce];
        int count;
        do
        {
            count = _queue.Poll(completed);
            foreach (NvmeCompleted one in completed[..count])
            {
                _inFlight[one.Tag] = false;
                _all[one.Tag].Complete(one.Status);
            }
        }
        while (count == completed.Length);
    }

    // In the lock. What fails here ends the device: nobody knows what its commands in flight still do to their buffers.
    private void Guarded(Action<NvmeOperations> action)
    {
        try
        {
            action(this);
        }
        catch (VfioException exception)
        {
            Fail(exception);
        }
    }

    private void Fail(Exception reason)
    {
        lock (_lock)
        {
            _failure ??= reason;
            foreach (NvmeOperation operation in _all)
            {
                if (_inFlight[operation.Index])
                    operation.Fail(_failure);
                _inFlight[operation.Index] = false;
            }
        }
    }
}
