using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Driver;

public sealed class InterruptTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly FakeDevice _fake = new();
    private readonly PciDevice _device;

    public InterruptTests()
    {
        _fake.AddInterrupt(InterruptIndex.Intx, 1, InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked);
        _device = new PciDevice(_fake);
    }

    public void Dispose() => _device.Dispose();

    [Fact]
    public void The_best_kind_is_taken_with_as_many_vectors_as_there_are()
    {
        using InterruptSet pin = _device.Interrupts.Enable(8);
        Assert.Equal((InterruptIndex.Intx, 1), (pin.Kind, pin.Count));
        pin.Dispose();

        _fake.AddInterrupt(InterruptIndex.Msi, 4);
        using InterruptSet messages = _device.Interrupts.Enable(8);
        Assert.Equal((InterruptIndex.Msi, 4), (messages.Kind, messages.Count));
        messages.Dispose();

        _fake.AddInterrupt(InterruptIndex.Msix, 16);
        using InterruptSet table = _device.Interrupts.Enable(8);
        Assert.Equal((InterruptIndex.Msix, 8), (table.Kind, table.Count));
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], table.Select(vector => vector.Vector));
    }

    [Fact]
    public void Fewer_vectors_are_used_when_the_machine_has_fewer()
    {
        _fake.AddInterrupt(InterruptIndex.Msix, 64);
        _fake.VectorsLeft = 10;

        using InterruptSet vectors = _device.Interrupts.Enable(64);

        Assert.Equal((InterruptIndex.Msix, 8), (vectors.Kind, vectors.Count));
    }

    [Fact]
    public void A_machine_without_vectors_falls_back_and_at_last_says_why()
    {
        _fake.AddInterrupt(InterruptIndex.Msi, 4);
        _fake.VectorsLeft = 0;

        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => _device.Interrupts.Enable(4)).Errno);
        Assert.Equal(
            ["Trigger MSI 0+4", "Trigger MSI 0+2", "Trigger MSI 0+1", "Trigger INTx 0+1"],
            _fake.Log.Where(line => line.StartsWith("Trigger", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_function_without_interrupts_says_so()
    {
        _fake.AddInterrupt(InterruptIndex.Intx, 0);

        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => _device.Interrupts.Enable(1)).Errno);
        Assert.Equal(0, _device.Interrupts.Count(new InterruptIndex(77)));
    }

    [Fact]
    public void One_kind_of_delivery_is_in_use_at_a_time()
    {
        _fake.AddInterrupt(InterruptIndex.Msi, 4);
        _fake.AddInterrupt(InterruptIndex.Request, 1);
        InterruptSet pin = _device.Interrupts.Enable(InterruptIndex.Intx, 1);

        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => _device.Interrupts.Enable(InterruptIndex.Msi, 1)).Errno);
        _device.Interrupts.Enable(InterruptIndex.Request, 1);
        pin.Dispose();
        Assert.Equal(2, _device.Interrupts.Enable(InterruptIndex.Msi, 2).Count);
        Assert.Equal(
            Errno.InvalidArgument, Assert.Throws<VfioException>(() => _device.Interrupts.Enable(InterruptIndex.Error, 1)).Errno);
    }

    [Fact]
    public void A_wait_ends_when_its_vector_fires_and_not_for_another()
    {
        _fake.AddInterrupt(InterruptIndex.Msix, 2);
        InterruptSet vectors = _device.Interrupts.Enable(2);

        _fake.Fire(InterruptIndex.Msix, 1);

        Assert.False(vectors[0].Wait(TimeSpan.Zero));
        Assert.True(vectors[1].Wait(TestTimeout));
        Assert.False(vectors[1].Wait(TimeSpan.Zero));
    }

    [Fact]
    public void Only_a_pin_is_unmasked_when_it_is_rearmed()
    {
        _fake.AddInterrupt(InterruptIndex.Msi, 1);
        InterruptSet pin = _device.Interrupts.Enable(InterruptIndex.Intx, 1);
        pin[0].Rearm();
        pin[0].Mask();
        Assert.Equal(["Trigger INTx 0+1", "Unmask INTx 0+1", "Mask INTx 0+1"], _fake.Log);
        pin.Dispose();
        InterruptSet messages = _device.Interrupts.Enable(InterruptIndex.Msi, 1);
        _fake.Log.Clear();
        messages[0].Rearm();
        Assert.Empty(_fake.Log);
    }

    [Fact]
    public void A_trigger_comes_back_as_an_interrupt()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        pin.Trigger();
        Assert.True(pin.Wait(TestTimeout));
    }

    [Fact]
    public async Task An_asynchronous_wait_ends_when_the_vector_fires()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        for (int i = 0; i < 20; i++)
        {
            ValueTask waiting = pin.WaitAsync();
            Assert.False(waiting.IsCompleted);
            _fake.Fire(InterruptIndex.Intx);
            await waiting.AsTask().WaitAsync(TestTimeout);
        }

        _fake.Fire(InterruptIndex.Intx);
        ValueTask atOnce = pin.WaitAsync();
        Assert.True(atOnce.IsCompletedSuccessfully);
        await atOnce;
    }

    [Fact]
    public async Task A_wait_for_a_time_says_whether_the_vector_fired_in_it()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        Assert.False(await pin.WaitAsync(TimeSpan.FromMilliseconds(1)).AsTask().WaitAsync(TestTimeout));

        // The time of an earlier wait does not end a later one.
        bool isFired = false;
        while (!isFired)
        {
            // On a busy machine the time may run out first.
            ValueTask<bool> waiting = pin.WaitAsync(TimeSpan.FromMilliseconds(50));
            _fake.Fire(InterruptIndex.Intx);
            isFired = await waiting.AsTask().WaitAsync(TestTimeout);
        }

        Task<bool> longer = pin.WaitAsync(TestTimeout).AsTask();
        Task forEver = Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.Same(forEver, await Task.WhenAny(longer, forEver));
        _fake.Fire(InterruptIndex.Intx);
        Assert.True(await longer);

        Task unlimited = pin.WaitAsync(Timeout.InfiniteTimeSpan).AsTask();
        Assert.False(unlimited.IsCompleted);
        _fake.Fire(InterruptIndex.Intx);
        await unlimited.WaitAsync(TestTimeout);
    }

    [Fact]
    public async Task A_time_that_ran_out_loses_no_interrupt()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        for (int i = 0; i < 200; i++)
        {
            ValueTask<bool> waiting = pin.WaitAsync(TimeSpan.FromMilliseconds(i % 3));
            await Task.Yield();
            _fake.Fire(InterruptIndex.Intx);
            if (!await waiting)
                Assert.True(await pin.WaitAsync(TestTimeout));
            Assert.False(pin.Wait(TimeSpan.Zero));
        }
    }

    [Fact]
    public async Task A_wait_for_a_time_ends_when_it_is_cancelled_and_when_the_vector_is_disposed()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        using CancellationTokenSource stop = new();
        Task<bool> waiting = pin.WaitAsync(TestTimeout, stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pin.WaitAsync(TestTimeout, stop.Token).AsTask());

        waiting = pin.WaitAsync(TestTimeout, CancellationToken.None).AsTask();
        pin.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
    }

    [Fact]
    public async Task A_cancelled_wait_loses_no_interrupt()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        using CancellationTokenSource source = new();
        ValueTask waiting = pin.WaitAsync(source.Token);
        await source.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await waiting);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await pin.WaitAsync(source.Token));
        _fake.Fire(InterruptIndex.Intx);
        await pin.WaitAsync().AsTask().WaitAsync(TestTimeout);
    }

    [Fact]
    public async Task Cancelling_and_firing_at_once_always_ends_the_wait_once()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        int fired = 0;
        for (int i = 0; i < 300; i++)
        {
            using CancellationTokenSource source = new();
            Task waiting = pin.WaitAsync(source.Token).AsTask();
            Task cancelling = Task.Run(source.Cancel);
            _fake.Fire(InterruptIndex.Intx);
            await cancelling;
            try
            {
                await waiting.WaitAsync(TestTimeout);
                fired++;
            }
            catch (OperationCanceledException)
            {
                await pin.WaitAsync().AsTask().WaitAsync(TestTimeout);
                fired++;
            }
        }

        Assert.Equal(300, fired);
        Assert.False(pin.Wait(TimeSpan.Zero));
    }

    [Fact]
    public async Task Two_waiters_at_once_are_refused()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        ValueTask first = pin.WaitAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(async () => await pin.WaitAsync());
        _fake.Fire(InterruptIndex.Intx);
        await first.AsTask().WaitAsync(TestTimeout);
    }

    [Fact]
    public async Task Releasing_the_device_ends_the_wait()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        Task waiting = pin.WaitAsync().AsTask();
        _device.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting.WaitAsync(TestTimeout));
        Assert.Throws<ObjectDisposedException>(() => pin.Wait(TimeSpan.Zero));
    }

    [Fact]
    public async Task Releasing_the_device_wakes_a_thread_that_waits()
    {
        Interrupt pin = _device.Interrupts.Enable(1)[0];
        using ManualResetEventSlim started = new();
        Task waiting = Task.Run(() =>
        {
            started.Set();
            pin.Wait(Timeout.InfiniteTimeSpan);
        });
        Assert.True(started.Wait(TestTimeout));
        _device.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting.WaitAsync(TestTimeout));
    }

    [Fact]
    public void Disposing_a_vector_unbinds_it_alone()
    {
        _fake.AddInterrupt(InterruptIndex.Msix, 2);
        InterruptSet vectors = _device.Interrupts.Enable(2);
        vectors[0].Dispose();

        Assert.False(_fake.IsBound(InterruptIndex.Msix, 0));
        Assert.True(_fake.IsBound(InterruptIndex.Msix, 1));
        vectors.Dispose();
        Assert.False(_fake.IsBound(InterruptIndex.Msix, 1));
        Assert.Equal("disable MSI-X", _fake.Log[^1]);
    }

    [Fact]
    public async Task More_vectors_than_one_look_takes_are_all_served()
    {
        _fake.AddInterrupt(InterruptIndex.Msix, 200);
        InterruptSet vectors = _device.Interrupts.Enable(200);
        Task[] waiting = [.. vectors.Select(vector => vector.WaitAsync().AsTask())];
        for (int i = 199; i >= 0; i--)
            _fake.Fire(InterruptIndex.Msix, i);

        await Task.WhenAll(waiting).WaitAsync(TestTimeout);
    }

    [Fact]
    public void Waiting_allocates_nothing_when_the_vector_fires_later()
    {
        Interrupt pin = _device.Interrupts.Enable(InterruptIndex.Intx, 1)[0];
        EventFd device = pin.Event;
        Assert.Equal(0, Measure.Allocations(() =>
        {
            ValueTask waiting = pin.WaitAsync();
            device.Signal();
            SpinWait spin = default;
            while (!waiting.IsCompleted)
                spin.SpinOnce();
            waiting.GetAwaiter().GetResult();
        }));
    }

    [Fact]
    public void Waiting_for_a_time_allocates_nothing()
    {
        Interrupt pin = _device.Interrupts.Enable(InterruptIndex.Intx, 1)[0];
        Assert.Equal(0, Measure.Allocations(() =>
        {
            ValueTask<bool> waiting = pin.WaitAsync(TestTimeout);
            pin.Event.Signal();
            SpinWait spin = default;
            while (!waiting.IsCompleted)
                spin.SpinOnce();
            waiting.GetAwaiter().GetResult();
        }));
    }

    [Fact]
    public void Waiting_allocates_nothing_when_the_vector_has_fired()
    {
        Interrupt pin = _device.Interrupts.Enable(InterruptIndex.Intx, 1)[0];
        EventFd device = pin.Event;
        Assert.Equal(0, Measure.Allocations(() =>
        {
            device.Signal();
            pin.Wait(TestTimeout);
            device.Signal();
            Assert.True(pin.WaitAsync().IsCompletedSuccessfully);
        }));
    }
}
