using Vfio.Guard;
using Vfio.Guard.Emulation;
using Vfio.Tests.Devices;

namespace Vfio.Tests.Guard;

/// <summary>Work on a device's own threads: abandoned by a reset, which waits for what is at the bus and for nothing else.</summary>
public sealed class DeviceWorkTests : IDisposable
{
    private readonly WaitingSlot _slot = new();
    private readonly WorkingFunction _function = new();

    public DeviceWorkTests()
    {
        _function.Connect(_slot);
        _function.WriteConfig(0x04, 2, 0x0006);
    }

    public void Dispose() => _function.Dispose();

    [Fact]
    public void Work_runs_after_each_wake_and_the_last_wake_is_never_lost()
    {
        int seen = 0;
        int asked = 0;
        ScriptedWork work = _function.Add(_ => Volatile.Write(ref seen, Volatile.Read(ref asked)));
        for (int i = 1; i <= 20_000; i++)
        {
            Volatile.Write(ref asked, i);
            work.Wake();
            if (i % 100 == 0)
                _slot.WaitUntil(() => Volatile.Read(ref seen) == Volatile.Read(ref asked));
        }
    }

    [Fact]
    public void A_system_call_that_a_reset_abandons_has_no_effect_afterwards()
    {
        using ManualResetEventSlim begun = new(), call = new(), over = new();
        List<Errno> errors = [];
        ScriptedWork work = _function.Add(one =>
        {
            begun.Set();
            call.Wait();
            errors.Add(one.WriteMemory(0x100, [1]));
            errors.Add(one.ReadMemory(0x100, new byte[1]));
            one.Raise();
            over.Set();
        });
        work.Wake();
        Assert.True(begun.Wait(WaitingSlot.TestTimeout));
        Assert.Equal(Errno.None, _function.Reset(ResetMethod.DeviceSpecific));
        Assert.True(work.IsAbandoned);
        call.Set();
        Assert.True(over.Wait(WaitingSlot.TestTimeout));
        Assert.Equal([Errno.OperationNotPermitted, Errno.OperationNotPermitted], errors);
        Assert.Equal(0, _slot.Memory[0x100]);
        Assert.False(_slot.Pin);
        Assert.Empty(_slot.Seen);
        _slot.WaitUntil(() => _function.Executor.ThreadCount == 0);
    }

    [Fact]
    public async Task A_reset_waits_for_an_access_that_ends_by_itself()
    {
        using ManualResetEventSlim entered = new(), leave = new();
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        _function.Add(one => one.ReadMemory(0, new byte[16])).Wake();
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));
        Task reset = Task.Run(() => _function.Reset(ResetMethod.DeviceSpecific));
        _slot.WaitUntil(() => _function.Works[^1].IsAbandoned);
        Assert.False(reset.IsCompleted);
        leave.Set();
        await reset.WaitAsync(WaitingSlot.TestTimeout);
    }

    [Fact]
    public async Task A_second_one_that_abandons_waits_for_what_the_first_one_waits_for()
    {
        using ManualResetEventSlim entered = new(), leave = new();
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        ScriptedWork work = _function.Add(one => one.ReadMemory(0, new byte[16]));
        work.Wake();
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));
        Task first = Task.Run(() => _function.Reset(ResetMethod.DeviceSpecific));
        _slot.WaitUntil(() => work.IsAbandoned);
        WaitingSlot asked = new();
        using ManualResetEventSlim waits = new();
        asked.OnAskedForOwner = waits.Set;
        Task second = Task.Run(() => _function.Executor.Abandon(asked));
        _slot.WaitUntil(() => waits.IsSet || second.IsCompleted);
        Assert.False(second.IsCompleted);
        leave.Set();
        await Task.WhenAll(first, second).WaitAsync(WaitingSlot.TestTimeout);
    }

    [Fact]
    public async Task Work_of_several_functions_is_abandoned_before_any_of_it_is_waited_for()
    {
        using ManualResetEventSlim entered = new(), leave = new();
        using WorkingFunction other = new();
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        _function.Add(one => one.ReadMemory(0, new byte[16])).Wake();
        ScriptedWork idle = other.Add(_ => { });
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));
        Task all = Task.Run(() => DeviceExecutor.Abandon([_function, other]));
        _slot.WaitUntil(() => idle.IsAbandoned);
        Assert.False(all.IsCompleted);
        leave.Set();
        await all.WaitAsync(WaitingSlot.TestTimeout);
    }

    [Fact]
    public void A_reset_does_not_wait_for_an_owner_that_does_not_answer()
    {
        using ManualResetEventSlim entered = new(), leave = new(), over = new();
        Errno second = Errno.None;
        _slot.OnRead = () =>
        {
            entered.Set();
            leave.Wait();
        };
        _function.Add(one =>
        {
            one.ReadMemory(0, new byte[16]);
            second = one.WriteMemory(0x100, [1]);
            over.Set();
        }).Wake();
        Assert.True(entered.Wait(WaitingSlot.TestTimeout));
        _slot.AccessesAtOwner = 1;
        Assert.Equal(Errno.None, _function.Reset(ResetMethod.DeviceSpecific));
        leave.Set();
        Assert.True(over.Wait(WaitingSlot.TestTimeout));
        Assert.Equal(Errno.OperationNotPermitted, second);
        Assert.Equal(0, _slot.Memory[0x100]);
    }

    [Fact]
    public void Work_that_was_never_woken_or_waits_for_a_thread_is_abandoned_too()
    {
        using ManualResetEventSlim leave = new();
        int begun = 0;
        for (int i = 0; i < DeviceExecutor.MaxThreads + 10; i++)
        {
            _function.Add(_ =>
            {
                Interlocked.Increment(ref begun);
                leave.Wait();
            }).Wake();
        }

        _slot.WaitUntil(() => Volatile.Read(ref begun) == DeviceExecutor.MaxThreads);
        ScriptedWork idle = _function.Add(_ => Interlocked.Increment(ref begun));
        Assert.Equal(Errno.None, _function.Reset(ResetMethod.DeviceSpecific));
        idle.Wake();

        // The next waits until one of those that were left behind has ended.
        using ManualResetEventSlim ran = new();
        _function.Add(_ => ran.Set()).Wake();
        Assert.Equal(DeviceExecutor.MaxThreads, _function.Executor.ThreadCount);
        Assert.False(ran.IsSet);
        leave.Set();
        Assert.True(ran.Wait(WaitingSlot.TestTimeout));
        Assert.Equal(DeviceExecutor.MaxThreads, Volatile.Read(ref begun));
    }

    [Fact]
    public void A_fault_of_work_ends_neither_the_process_nor_the_work()
    {
        using ManualResetEventSlim again = new();
        int runs = 0;
        ScriptedWork work = _function.Add(_ =>
        {
            if (Interlocked.Increment(ref runs) == 1)
                throw new InvalidOperationException("a fault");
            again.Set();
        });
        work.Wake();
        _slot.WaitUntil(() => Volatile.Read(ref runs) == 1);
        work.Wake();
        Assert.True(again.Wait(WaitingSlot.TestTimeout));
    }

    [Fact]
    public void A_stopped_function_does_no_work_until_it_is_started()
    {
        using ManualResetEventSlim begun = new(), over = new();
        IMigratableFunction function = _function;
        ScriptedWork work = _function.Add(one =>
        {
            begun.Set();
            while (!one.ShouldReturn)
                Thread.Yield();
        });
        work.Wake();
        Assert.True(begun.Wait(WaitingSlot.TestTimeout));
        function.Stop();
        begun.Reset();
        work.Wake();
        ScriptedWork other = _function.Add(_ => over.Set());
        other.Wake();
        Assert.False(begun.IsSet);
        Assert.False(over.IsSet);
        function.Start();
        Assert.True(begun.Wait(WaitingSlot.TestTimeout));
        Assert.True(over.Wait(WaitingSlot.TestTimeout));
    }

    [Fact]
    public void A_stop_that_the_work_waits_for_is_refused_and_the_work_goes_on()
    {
        using ManualResetEventSlim begun = new(), leave = new(), over = new();
        IMigratableFunction function = _function;
        ScriptedWork work = _function.Add(_ =>
        {
            begun.Set();
            leave.Wait();
            over.Set();
        });
        work.Wake();
        Assert.True(begun.Wait(WaitingSlot.TestTimeout));
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(function.Stop).Errno);
        Assert.False(work.ShouldReturn);
        leave.Set();
        Assert.True(over.Wait(WaitingSlot.TestTimeout));
        function.Stop();
        Assert.True(work.ShouldReturn);
        function.Start();
    }

    /// <summary>A function whose work is what a test says.</summary>
    private sealed class WorkingFunction() : EmulatedFunction(new FunctionDescription("working", 0x1234, 0x0001) { InterruptPin = 1 })
    {
        internal List<ScriptedWork> Works { get; } = [];

        public override bool CanMigrate => true;

        internal ScriptedWork Add(Action<ScriptedWork> run)
        {
            Works.Add(new ScriptedWork(this, run));
            return Works[^1];
        }
    }

    private sealed class ScriptedWork(EmulatedFunction function, Action<ScriptedWork> run) : DeviceWork(function)
    {
        internal Errno ReadMemory(ulong address, Span<byte> destination) => Bus.ReadMemory(new Iova(address), destination);

        internal Errno WriteMemory(ulong address, ReadOnlySpan<byte> source) => Bus.WriteMemory(new Iova(address), source);

        internal void Raise() => Interrupt();

        protected override void Run() => run(this);
    }
}
