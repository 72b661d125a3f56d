using Vfio.Native;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Native;

/// <summary>One thread that calls back for many descriptors, and who waits for it.</summary>
public sealed class EventLoopTests : IDisposable
{
    private static readonly TimeSpan HangTimeout = HangGuard.Timeout;
    private readonly EventLoop _loop = new("test loop");
    private readonly EventFd _signal = EventFd.Create();
    private readonly SemaphoreSlim _called = new(0);

    public void Dispose()
    {
        _loop.Dispose();
        _signal.Dispose();
    }

    [Fact]
    public void Each_signal_calls_back_though_the_counter_is_not_read()
    {
        using EventRegistration registration = _loop.Add(_signal, _ => _called.Release());
        for (int i = 0; i < 100; i++)
        {
            _signal.Signal();
            SeeCall();
        }

        Assert.Equal(100ul, _signal.Drain());
    }

    [Fact]
    public void A_signal_from_before_calls_back_too()
    {
        _signal.Signal();
        using EventRegistration registration = _loop.Add(_signal, _ => _called.Release());
        SeeCall();
    }

    [Fact]
    public void A_full_eventfd_that_counts_down_by_one_is_called_back_for_once()
    {
        // As another process could make it: with EFD_SEMAPHORE, which is 1, each read takes one of 4,294,967,295.
        using FileDescriptor given = new(LibC.eventfd(uint.MaxValue, 1 | LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK));
        using EventFd full = EventFd.TryHold(given)!;
        using EventRegistration busy = _loop.Add(full, _ => full.Drain());
        int calls = 0;
        using EventRegistration counted = _loop.Add(full, _ => calls++);
        using EventRegistration registration = _loop.Add(_signal, _ => _called.Release());
        for (int i = 0; i < 10; i++)
        {
            _signal.Signal();
            SeeCall();
        }

        Assert.Equal(1, calls);
    }

    [Fact]
    public void A_descriptor_is_called_back_for_as_long_as_it_is_readable()
    {
        _signal.Signal();
        int calls = 0;
        using EventRegistration registration = _loop.Add(_signal.Descriptor, _ =>
        {
            if (++calls < 3)
                return;
            _signal.Drain();
            _called.Release();
        });
        SeeCall();
        Assert.Equal(3, calls);
    }

    [Fact]
    public void What_is_added_for_once_waits_to_be_armed_again()
    {
        using EventRegistration registration = _loop.AddOnce(_signal.Descriptor, _ => _called.Release());
        _signal.Signal();
        SeeCall();
        using EventFd other = EventFd.Create();
        using SemaphoreSlim otherCalled = new(0);
        using EventRegistration after = _loop.Add(other, _ => otherCalled.Release());
        other.Signal();
        Assert.True(otherCalled.Wait(HangTimeout));
        Assert.Equal(0, _called.CurrentCount);
        registration.Arm();
        SeeCall();
    }

    [Fact]
    public void One_descriptor_may_be_registered_twice()
    {
        using EventRegistration first = _loop.Add(_signal, _ => _called.Release());
        using EventRegistration second = _loop.Add(_signal, _ => _called.Release());
        _signal.Signal();
        SeeCall();
        SeeCall();
        first.Dispose();
        _signal.Signal();
        SeeCall();
    }

    [Fact]
    public void There_are_as_many_registrations_as_the_maker_said()
    {
        using EventLoop small = new("small loop", maxRegistrations: 2);
        using EventRegistration first = small.Add(_signal, _ => { });
        EventRegistration second = small.Add(_signal, _ => { });
        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => small.Add(_signal, _ => { })).Errno);
        second.Dispose();
        using EventRegistration third = small.Add(_signal, _ => _called.Release());
        _signal.Signal();
        SeeCall();
    }

    [Fact]
    public async Task To_dispose_a_registration_waits_for_its_callback_which_never_runs_again()
    {
        using SemaphoreSlim goOn = new(0);
        int calls = 0;
        bool isInside = false;
        EventRegistration registration = _loop.Add(_signal, _ =>
        {
            isInside = true;
            calls++;
            _called.Release();
            goOn.Wait(HangTimeout);
            isInside = false;
        });
        _signal.Signal();
        SeeCall();
        Task disposing = Task.Factory.StartNew(registration.Dispose, TaskCreationOptions.LongRunning);
        _signal.Signal();
        Assert.True(isInside);
        goOn.Release();
        await disposing.WaitAsync(HangTimeout);
        Assert.False(isInside);
        Assert.Equal(1, calls);
    }

    [Fact]
    public void A_thousand_registrations_that_are_disposed_under_fire_are_never_called_afterwards()
    {
        using CancellationTokenSource stop = new();
        Thread signaller = new(() =>
        {
            while (!stop.IsCancellationRequested)
                _signal.Signal();
        });
        signaller.Start();
        for (int i = 0; i < 1000; i++)
        {
            bool isOver = false, isLate = false;
            EventRegistration registration = _loop.Add(_signal, _ => isLate |= Volatile.Read(ref isOver));
            registration.Dispose();
            Volatile.Write(ref isOver, true);
            Assert.False(Volatile.Read(ref isLate));
        }

        stop.Cancel();
        signaller.Join();
    }

    [Fact]
    public void A_callback_may_dispose_its_registration_and_others_and_the_loop()
    {
        using EventFd otherSignal = EventFd.Create();
        EventRegistration other = _loop.Add(otherSignal, _ => Assert.Fail("it was disposed"));
        _loop.Add(_signal, registration =>
        {
            other.Dispose();
            registration.Dispose();
            otherSignal.Signal();
            _loop.Pause();
            _loop.Resume();
            _loop.Dispose();
            _called.Release();
        });
        _signal.Signal();
        SeeCall();
        _loop.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _loop.Add(_signal, _ => { }));
    }

    [Fact]
    public async Task To_cancel_does_not_wait_for_a_callback_that_wants_a_lock_of_the_caller()
    {
        Lock held = new();
        EventRegistration registration = _loop.Add(_signal, _ =>
        {
            _called.Release();
            lock (held)
            {
            }
        });
        Task cancelling = Task.Factory.StartNew(
            () =>
            {
                lock (held)
                {
                    _signal.Signal();
                    SeeCall();
                    registration.Cancel();
                }
            },
            TaskCreationOptions.LongRunning);
        await cancelling.WaitAsync(HangTimeout);
        registration.Dispose();
    }

    [Fact]
    public void While_it_is_paused_no_callback_runs_and_signals_are_kept()
    {
        using EventRegistration registration = _loop.Add(_signal, _ => _called.Release());
        _signal.Signal();
        SeeCall();
        for (int i = 1; i <= 100; i++)
        {
            _loop.Pause();
            _signal.Signal();
            using EventFd added = EventFd.Create();
            added.Signal();
            using EventRegistration another = _loop.Add(added, _ => _called.Release());
            Assert.Equal(0, _called.CurrentCount);
            _loop.Resume();
            SeeCall();
            SeeCall();
        }

        Assert.Equal(101ul, _signal.Drain());
    }

    [Fact]
    public void A_paused_loop_can_be_disposed()
    {
        _loop.Add(_signal, _ => _called.Release());
        _loop.Pause();
        _signal.Signal();
        _loop.Dispose();
        Assert.Equal(0, _called.CurrentCount);
    }

    [Fact]
    public void A_callback_that_throws_is_reported_and_ends_no_other()
    {
        List<Exception> raised = [];
        using EventLoop loop = new("failing loop", failure =>
        {
            lock (raised)
                raised.Add(failure);
            _called.Release();
        });
        using EventFd bad = EventFd.Create();
        bad.Signal();
        using EventRegistration failing = loop.Add(bad.Descriptor, _ => throw new InvalidOperationException("no"));
        SeeCall();
        using EventRegistration registration = loop.Add(_signal, _ => _called.Release());
        _signal.Signal();
        SeeCall();
        lock (raised)
            Assert.Equal("no", Assert.IsType<InvalidOperationException>(Assert.Single(raised)).Message);
        failing.Dispose();
    }

    [Fact]
    public void The_descriptor_is_held_until_the_registration_ends()
    {
        using FileDescriptor given = new(LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK));
        EventRegistration registration = _loop.Add(given, _ => { });
        given.Dispose();
        Assert.True(IsOpen(given));
        registration.Dispose();
    }

    [Fact]
    public void A_loop_without_registrations_needs_no_thread()
    {
        EventLoop unused = new("unused loop");
        unused.Pause();
        unused.Resume();
        unused.Dispose();
        unused.Dispose();
    }

    [Fact]
    public void Calling_back_allocates_nothing()
    {
        long bytes = 0;
        using EventRegistration registration = _loop.Add(_signal, _ =>
        {
            Volatile.Write(ref bytes, GC.GetAllocatedBytesForCurrentThread());
            _called.Release();
        });
        Assert.Equal(0, Measure.Allocations(
            () =>
            {
                _signal.Signal();
                SeeCall();
            },
            () => Volatile.Read(ref bytes)));
    }

    private static bool IsOpen(FileDescriptor descriptor) => LibC.fcntl(descriptor.Number, LibC.F_GETFL, 0) >= 0;

    private void SeeCall() => Assert.True(_called.Wait(HangTimeout));
}
