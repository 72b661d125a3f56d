using System.Numerics;
using Vfio.Guard.Emulation;
using Vfio.Native;

namespace Vfio.Guard;

/// <summary>Work that an <see cref="EmulatedFunction"/> does on a thread of its own, so that an access to the device never waits for
/// it: a queue of commands, a DMA engine.</summary>
/// <remarks>
/// <para>Derive from it, keep in it what only its thread touches, and call <see cref="Wake"/> when there is something to do. The first
/// call starts its thread, which sleeps while there is nothing to do.</para>
/// <para>A reset of the function, and its disposal, abandon all work: <see cref="Bus"/> then refuses accesses, interrupts are dropped,
/// and the thread ends when <see cref="Run"/> returns. A reset waits for an access to memory that is under way, never for a system call.
/// So a later user of the function sees no result of work that was under way: it starts with new work.</para>
/// <para>Long work checks <see cref="ShouldReturn"/> after every chunk of a millisecond or less.</para>
/// </remarks>
public abstract class DeviceWork
{
    private const int Idle = 0, Requested = 1, Asleep = 2, Unstarted = 3;

    /// <summary>How often it checks for more to do before it sleeps, about 20 us in all: a wake from sleep costs more on both
    /// sides.</summary>
    private const int IdleChecks = 40;

    private readonly EmulatedFunction _function;
    private readonly DeviceExecutor _executor;
    private readonly SemaphoreSlim _bell = new(0);
    private readonly WorkBus _bus;
    private int _state = Unstarted;
    private int _inside;
    private int _running;
    private int _thread;
    private volatile bool _isAbandoned;

    /// <summary>Makes work, which does nothing until it is woken.</summary>
    /// <param name="function">The function that it belongs to.</param>
    protected DeviceWork(EmulatedFunction function)
    {
        ArgumentNullException.ThrowIfNull(function);
        _function = function;
        _executor = function.Executor;
        _bus = new WorkBus(this);
        _executor.Add(this);
    }

    /// <summary>Whether the function was reset or disposed since this was made: its effects are dropped from then on.</summary>
    public bool IsAbandoned => _isAbandoned;

    /// <summary>Whether <see cref="Run"/> should return now: the work is abandoned, or the function is stopped for a migration and
    /// calls <see cref="Run"/> again when it starts.</summary>
    public bool ShouldReturn => _isAbandoned || _executor.IsPaused;

    /// <summary>A name for its thread.</summary>
    protected internal virtual string Name => _function.Name;

    /// <summary>The function's slot, for this work's thread alone: every access is refused with EPERM once the work is abandoned.</summary>
    protected IPciSlot Bus => _bus;

    /// <summary>Has <see cref="Run"/> called, once more if it is running now. Any thread may call it; <see cref="Run"/> sees what the
    /// caller wrote before.</summary>
    public void Wake()
    {
        int before = Interlocked.Exchange(ref _state, Requested);
        if (before == Asleep)
            _bell.Release();
        else if (before == Unstarted && !_isAbandoned)
            _executor.StartThread(this);
    }

    /// <summary>Abandons this work alone, as a reset abandons all. When this returns, it does not access the bus.</summary>
    public void Abandon() => _executor.Abandon(this, _function.SlotOrNull);

    /// <summary>Does the work; called on its own thread, after a wake. It may be called once more than needed.</summary>
    protected abstract void Run();

    /// <summary>Begins a section of several accesses to <see cref="Bus"/>, or of effects that a reset must not overtake: a reset waits for
    /// its end. Keep it below a millisecond, and free of system calls that can take longer. On the work's own thread.</summary>
    /// <returns>False when the work is abandoned; no section is begun then.</returns>
    protected bool Enter()
    {
        // A full barrier: either the reset sees this section, or this sees the reset.
        Interlocked.Exchange(ref _inside, 1);
        if (!_isAbandoned)
            return true;
        Leave();
        return false;
    }

    /// <summary>Ends the section, if there is one.</summary>
    protected void Leave() => Volatile.Write(ref _inside, 0);

    /// <summary>Interrupts as <see cref="EmulatedFunction.Interrupt"/> does, unless the work is abandoned.</summary>
    protected void Interrupt(int vector = 0)
    {
        bool wasInside = _inside != 0;
        if (!(wasInside ? !_isAbandoned : Enter()))
            return;
        _function.InterruptFor(vector);
        if (!wasInside)
            Leave();
    }

    /// <summary>As <see cref="Interrupt"/>, for each vector of a mask.</summary>
    internal void InterruptEach(uint vectors)
    {
        for (; vectors != 0; vectors &= vectors - 1)
            Interrupt(BitOperations.TrailingZeroCount(vectors));
    }

    /// <summary>Deasserts the pin as <see cref="EmulatedFunction.EndInterrupt"/> does, unless the work is abandoned.</summary>
    protected void EndInterrupt()
    {
        bool wasInside = _inside != 0;
        if (!(wasInside ? !_isAbandoned : Enter()))
            return;
        _function.EndInterruptFor();
        if (!wasInside)
            Leave();
    }

    /// <summary>Whether it neither runs nor was woken since it ran.</summary>
    internal bool IsAtRest => Volatile.Read(ref _state) != Requested && Volatile.Read(ref _running) == 0;

    internal bool IsInsideElsewhere => Volatile.Read(ref _inside) != 0 && Volatile.Read(ref _thread) != Environment.CurrentManagedThreadId;

    internal bool IsRunningElsewhere => Volatile.Read(ref _running) != 0 && Volatile.Read(ref _thread) != Environment.CurrentManagedThreadId;

    internal void MarkAbandoned()
    {
        _isAbandoned = true;

        // A barrier between setting the mark and reading who is inside. The thread, if it sleeps, wakes and ends.
        if (Interlocked.Exchange(ref _state, Requested) == Asleep)
            _bell.Release();
    }

    internal void RunUntilAbandoned()
    {
        Volatile.Write(ref _thread, Environment.CurrentManagedThreadId);
        while (!_isAbandoned)
        {
            if (Interlocked.CompareExchange(ref _state, Idle, Requested) == Requested)
                RunOnce();
            else if (!LookForMore() && Interlocked.CompareExchange(ref _state, Asleep, Idle) == Idle)
                _bell.Wait();
        }
    }

    private void RunOnce()
    {
        // A full barrier: either a pause sees this run, or this sees the pause.
        Interlocked.Exchange(ref _running, 1);
        if (_executor.IsPaused)
        {
            Volatile.Write(ref _running, 0);
            Interlocked.Exchange(ref _state, Requested);
            _executor.WaitForResume(this);
            return;
        }

        try
        {
            Run();
        }
        catch (Exception)
        {
            // A fault of the device's code. No caller could handle it, and it must not end this process.
            Leave();
            if (!_isAbandoned)
                _function.SlotOrNull?.ReportError();
        }

        // Work that a pause interrupted continues after it.
        if (_executor.IsPaused)
            Interlocked.Exchange(ref _state, Requested);
        Volatile.Write(ref _running, 0);
    }

    private bool LookForMore()
    {
        SpinWait spin = default;
        for (int i = 0; i < IdleChecks && Volatile.Read(ref _state) == Idle; i++)
            spin.SpinOnce(sleep1Threshold: -1);
        return Volatile.Read(ref _state) != Idle;
    }

    /// <summary>The slot for the work's thread: each access is a section of its own, or part of the one under way.</summary>
    private sealed class WorkBus(DeviceWork work) : IPciSlot
    {
        public int MappingCount => work._function.SlotOrNull?.MappingCount ?? 0;

        public int AccessesAtOwner => work._function.SlotOrNull?.AccessesAtOwner ?? 0;

        public Errno ReadMemory(Iova address, Span<byte> destination)
        {
            bool wasInside = work._inside != 0;
            if (!(wasInside ? !work._isAbandoned : work.Enter()))
                return Errno.OperationNotPermitted;
            Errno error = work._function.SlotOrNull!.ReadMemory(address, destination);
            if (!wasInside)
                work.Leave();
            return error;
        }

        public Errno WriteMemory(Iova address, ReadOnlySpan<byte> source)
        {
            bool wasInside = work._inside != 0;
            if (!(wasInside ? !work._isAbandoned : work.Enter()))
                return Errno.OperationNotPermitted;
            Errno error = work._function.SlotOrNull!.WriteMemory(address, source);
            if (!wasInside)
                work.Leave();
            return error;
        }

        public Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments)
        {
            segments = 0;
            bool wasInside = work._inside != 0;
            if (!(wasInside ? !work._isAbandoned : work.Enter()))
                return Errno.OperationNotPermitted;
            Errno error = work._function.SlotOrNull!.TranslateMemory(address, length, access, out segments);
            if (!wasInside)
                work.Leave();
            return error;
        }

        public bool IsReachedDirectly(Iova address, ulong length) =>
            work._function.SlotOrNull is { } slot && slot.IsReachedDirectly(address, length);

        public bool IsOwnerAsking(Iova address) => work._function.SlotOrNull is { } slot && slot.IsOwnerAsking(address);

        public bool HasListener(InterruptIndex kind, int vector) => !work._isAbandoned && work._function.SlotOrNull!.HasListener(kind, vector);

        public void SetIntx(bool asserted) => throw Misuse();

        public void SignalMsi(int vector) => throw Misuse();

        public void SignalMsix(int vector) => throw Misuse();

        private static InvalidOperationException Misuse() => new($"work raises interrupts with {nameof(DeviceWork)}.{nameof(Interrupt)}");
    }
}
