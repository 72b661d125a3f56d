using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Native.Interop;

/// <summary>Ends system calls that were not to wait and do: a write to an eventfd whose other holder filled its counter, or an accept of
/// a client that another process took.</summary>
/// <remarks>
/// <para>Whether such a call waits is said by O_NONBLOCK, which belongs to the open file and so to everybody who holds it: it can change
/// between any look and the call. To read an eventfd there is RWF_NOWAIT; for a write and for accept there is nothing of the kind, and to
/// ask first costs as much as the call and proves nothing. So the call is made, and a thread of its own sees to it that it ends: each
/// thread counts its calls (two plain stores a call), and one that is in the same call at two looks gets a signal. Its handler does
/// nothing, but the call ends with EINTR: whatever the other holder does, and as often as it fills the counter again, it cannot keep
/// the call. The signal is sent at every look until the call is over, all threads at one look, so that many stuck ones take no longer
/// than one.</para>
/// <para>A write that was ended so proves that the other holder filled the counter (2^64 - 2 signals do not happen), and
/// <see cref="EventFd"/> writes to that eventfd no more. From then on, for <see cref="WaryTime"/>, looks come each millisecond and
/// writers ask first: who has many eventfds to fill holds a thread up once for two looks of <see cref="Interval"/>, and after that for
/// a few milliseconds for each that it fills just between question and write.</para>
/// <para>The thread that checks makes no call that a peer could delay. While no such call is under way it sleeps.</para>
/// </remarks>
internal static unsafe class StuckSignals
{
    private const int Awake = 0, Asleep = 1, Wary = 2;
    private const int LooksBeforeSleep = 10;

    /// <summary>Time between two checks.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>How long writers ask first after a call that had to be ended.</summary>
    internal static readonly TimeSpan WaryTime = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan WaryInterval = TimeSpan.FromMilliseconds(1);
    private static readonly Lock Gate = new();
    private static readonly List<Caller> Callers = [];
    private static readonly AutoResetEvent Alarm = new(false);
    private static readonly int Signal = Install();
    private static volatile int _state = Signal == 0 ? Wary : Awake;
    private static long _waryEnd;
    private static bool _isStarted;

    [ThreadStatic]
    private static Caller? _mine;

    /// <summary>Begins a call that must not wait; <see cref="Caller.End"/> follows in any case.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Caller Begin()
    {
        Caller caller = _mine ?? Introduce();

        // The barrier of the thread that goes to sleep is between these two: either it sees this call, or this call sees that it sleeps.
        caller.Count();
        if (_state == Asleep)
            Wake();
        return caller;
    }

    /// <summary>Whether to ask before a write.</summary>
    internal static bool AsksFirst => _state == Wary;

    /// <summary>Makes everybody ask first for a while; for a thread whose call was ended, before its <see cref="Caller.End"/>.</summary>
    internal static void BecomeWary()
    {
        Volatile.Write(ref _waryEnd, Environment.TickCount64 + (long)WaryTime.TotalMilliseconds);
        _state = Wary;
    }

    private static Caller Introduce()
    {
        // The parent process may have had the signal blocked.
        if (Signal != 0)
        {
            ulong* set = stackalloc ulong[16];
            set[0] = 1UL << (Signal - 1);
            _ = LibC.pthread_sigmask(LibC.SIG_UNBLOCK, set, null);
        }

        Caller caller = new();
        lock (Gate)
        {
            Callers.Add(caller);
            if (!_isStarted && Signal != 0)
                new Thread(Look) { IsBackground = true, Name = "vfio stuck signals" }.Start();
            _isStarted = true;
        }

        return _mine = caller;
    }

    private static void Wake()
    {
        if (Interlocked.CompareExchange(ref _state, Awake, Asleep) == Asleep)
            Alarm.Set();
    }

    private static void Look()
    {
        int idle = 0;
        while (true)
        {
            (bool isActive, bool isStuck) = LookAtAll();
            if (_state == Wary && Environment.TickCount64 > Volatile.Read(ref _waryEnd))
                _state = Awake;
            idle = isActive || _state == Wary ? 0 : idle + 1;
            if (idle == LooksBeforeSleep)
                Sleep();
            else
                Thread.Sleep(isStuck || _state == Wary ? WaryInterval : Interval);
        }
    }

    private static void Sleep()
    {
        _state = Asleep;
        Interlocked.MemoryBarrierProcessWide();
        if (LookAtAll().IsActive)
            _state = Awake;
        else
            Alarm.WaitOne();
    }

    private static (bool IsActive, bool IsStuck) LookAtAll()
    {
        bool isActive = false, isStuck = false;
        lock (Gate)
        {
            for (int i = Callers.Count - 1; i >= 0; i--)
            {
                isActive |= Callers[i].LookAt(Signal, out bool isThisStuck);
                isStuck |= isThisStuck;
                if (!Callers[i].IsAlive)
                    Callers.RemoveAt(i);
            }
        }

        return (isActive, isStuck);
    }

    /// <summary>Finds a signal without another use and gives it a handler that does nothing.</summary>
    /// <returns>The signal; 0 when there is none, and everybody asks first.</returns>
    /// <remarks>SIGURG, which does nothing by itself and does not queue, and which the runtime has no use for; else SIGSTKFLT, which
    /// Linux never sends. The handler is the C library's abs: it takes a number, gives one back and touches nothing.</remarks>
    private static int Install()
    {
        if (!NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "abs", out nint handler))
            return 0;
        foreach (int signal in (ReadOnlySpan<int>)[LibC.SIGURG, LibC.SIGSTKFLT])
        {
            LibC.SignalAction previous = default;

            // SAFETY: without SA_RESTART, so that calls end; the structures outlive the calls.
            LibC.SignalAction ours = new() { Handler = handler };
            if (LibC.sigaction(signal, null, &previous) == 0 && previous.Handler is LibC.SIG_DFL or LibC.SIG_IGN
                && LibC.sigaction(signal, &ours, null) == 0)
                return signal;
        }

        return 0;
    }

    /// <summary>A thread that makes such calls.</summary>
    internal sealed class Caller
    {
        private readonly Thread _thread = Thread.CurrentThread;
        private readonly int _number = LibC.gettid();
        private long _calls;
        private long _ended;
        private long _lastLook;

        /// <summary>Whether the call under way was asked to end.</summary>
        internal bool IsToEnd => Volatile.Read(ref _ended) == _calls;

        internal bool IsAlive => _thread.IsAlive;

        /// <summary>Odd: in a call.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Count() => Volatile.Write(ref _calls, _calls + 1);

        /// <summary>Ends it.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void End() => Count();

        /// <summary>Sends the signal to a thread that is in the same call as at the last look.</summary>
        /// <returns>Whether it made a call since, or is in one.</returns>
        internal bool LookAt(int signal, out bool isStuck)
        {
            long calls = Volatile.Read(ref _calls);
            bool isInside = (calls & 1) != 0, isSame = calls == _lastLook;
            isStuck = isInside && isSame;
            _lastLook = calls;
            if (isStuck)
            {
                Volatile.Write(ref _ended, calls);
                _ = LibC.tgkill(Environment.ProcessId, _number, signal);
            }

            return isInside || !isSame;
        }
    }
}
