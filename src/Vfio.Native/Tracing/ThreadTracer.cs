using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>What a tracer is told of, and asks for (PTRACE_O_*).</summary>
[Flags]
internal enum TraceOptions
{
    /// <summary>Stops for system calls can be told from SIGTRAP.</summary>
    MarkSystemCalls = 1,

    /// <summary>New processes and threads are traced too, and programs that they execute are told of.</summary>
    Follow = 2 | 4 | 8 | 0x10,

    /// <summary>The end of a thread is told of before it is over.</summary>
    Exit = 0x40,

    /// <summary>What is traced is killed when the tracer ends.</summary>
    KillAtEnd = 0x10_0000,

    /// <summary>All of these.</summary>
    All = MarkSystemCalls | Follow | Exit | KillAtEnd,
}

/// <summary>Why a traced thread stopped.</summary>
internal enum StopKind
{
    /// <summary>It is about to get a signal.</summary>
    Signal,

    /// <summary>It began or ended a system call.</summary>
    SystemCall,

    /// <summary>It did what the tracer asked to be told of; nothing is to be done.</summary>
    Event,

    /// <summary>It executed a program.</summary>
    Exec,

    /// <summary>It is about to end.</summary>
    Exit,

    /// <summary>It was stopped, as by SIGSTOP.</summary>
    Group,

    /// <summary>It has ended.</summary>
    Ended,
}

/// <summary>A stop of a traced thread, or its end.</summary>
/// <param name="Thread">Which.</param>
/// <param name="Kind">Why.</param>
/// <param name="Signal">With <see cref="StopKind.Signal"/>: which.</param>
/// <param name="End">With <see cref="StopKind.Ended"/>: how.</param>
internal readonly record struct ThreadStop(int Thread, StopKind Kind, int Signal, ProgramEnd End)
{
    private const int Trap = 5, SystemCallMark = 0x80, ExecEvent = 4, ExitEvent = 6, StopEvent = 128;

    /// <summary>From the status of waitpid(2).</summary>
    internal static ThreadStop Of(int thread, int status)
    {
        if ((status & 0xff) != 0x7f)
            return new ThreadStop(thread, StopKind.Ended, 0, ProgramEnd.Of(status));
        int signal = (status >> 8) & 0xff;
        StopKind kind = (status >> 16) switch
        {
            0 => signal == (Trap | SystemCallMark) ? StopKind.SystemCall : StopKind.Signal,
            ExecEvent => StopKind.Exec,
            ExitEvent => StopKind.Exit,
            StopEvent when signal != Trap => StopKind.Group,
            _ => StopKind.Event,
        };
        return new ThreadStop(thread, kind, signal, default);
    }
}

/// <summary>A signal that was about to be delivered: the start of <c>siginfo_t</c>.</summary>
/// <param name="Signal">Which.</param>
/// <param name="Code">Why.</param>
/// <param name="Address">Of a fault: where.</param>
internal readonly record struct FaultInfo(int Signal, int Code, ulong Address);

/// <summary>The registers of a thread: <c>struct user_regs_struct</c> of x86-64.</summary>
[InlineArray(27)]
internal struct ThreadRegisters
{
    internal const int R15 = 0, R14 = 1, R13 = 2, R12 = 3, Rbp = 4, Rbx = 5, R11 = 6, R10 = 7, R9 = 8, R8 = 9, Rax = 10, Rcx = 11, Rdx = 12, Rsi = 13, Rdi = 14;
    internal const int OriginalRax = 15, Rip = 16, Flags = 18, Rsp = 19, FsBase = 21, GsBase = 22;
    private ulong _first;
}

/// <summary>ptrace(2) of the threads that the calling thread traces.</summary>
/// <remarks>A thread may be killed at any time; every request then fails, and a stop tells of its end.</remarks>
internal static unsafe class ThreadTracer
{
    private const nint PokeData = 5, Cont = 7, SingleStep = 9, GetRegs = 12, SetRegs = 13, Detached = 17, Syscall = 24;
    private const nint GetSignalInfo = 0x4202, ListenRequest = 0x4208;
    private const int SignalInfoWords = 16;

    /// <summary>Waits for the next stop of any traced thread, or for the end of a child.</summary>
    /// <returns>Null when nothing is left.</returns>
    internal static ThreadStop? Wait() => WaitFor(-1);

    /// <summary>Waits for the next stop of one thread.</summary>
    internal static ThreadStop? WaitFor(int thread)
    {
        while (true)
        {
            int status;
            int stopped = TraceCalls.waitpid(thread, &status, TraceCalls.WaitAnyKind | TraceCalls.WaitOwnThread);
            if (stopped > 0)
                return ThreadStop.Of(stopped, status);
            if ((Errno)Marshal.GetLastPInvokeError() != Errno.Interrupted)
                return null;
        }
    }

    /// <summary>Lets a thread go on, with a signal or none.</summary>
    internal static void Continue(int thread, int signal = 0) => _ = TraceCalls.ptrace(Cont, thread, 0, (void*)(nint)signal);

    /// <summary>Lets a thread go on to the start or the end of a system call.</summary>
    internal static void ContinueToSystemCall(int thread) => _ = TraceCalls.ptrace(Syscall, thread, 0, null);

    /// <summary>Lets a thread execute one instruction.</summary>
    internal static void Step(int thread) => _ = TraceCalls.ptrace(SingleStep, thread, 0, null);

    /// <summary>Lets a stopped process stay stopped, and be continued by SIGCONT.</summary>
    internal static void Listen(int thread) => _ = TraceCalls.ptrace(ListenRequest, thread, 0, null);

    /// <summary>Lets a thread go on untraced.</summary>
    internal static void Detach(int thread) => _ = TraceCalls.ptrace(Detached, thread, 0, null);

    /// <summary>Sends a thread a signal.</summary>
    internal static void Send(int process, int thread, int signal) => _ = LibC.tgkill(process, thread, signal);

    /// <summary>Reads its registers.</summary>
    internal static bool TryGetRegisters(int thread, out ThreadRegisters registers)
    {
        fixed (ThreadRegisters* to = &registers)
            return TraceCalls.ptrace(GetRegs, thread, 0, to) == 0;
    }

    /// <summary>Writes its registers.</summary>
    internal static bool TrySetRegisters(int thread, in ThreadRegisters registers)
    {
        fixed (ThreadRegisters* from = &registers)
            return TraceCalls.ptrace(SetRegs, thread, 0, from) == 0;
    }

    /// <summary>The signal that it is about to get.</summary>
    internal static bool TryGetFault(int thread, out FaultInfo fault)
    {
        ulong* info = stackalloc ulong[SignalInfoWords];
        bool isThere = TraceCalls.ptrace(GetSignalInfo, thread, 0, info) == 0;
        fault = isThere ? new FaultInfo((int)info[0], (int)info[1], info[2]) : default;
        return isThere;
    }

    /// <summary>Writes code, on a page that need not be writable.</summary>
    internal static bool TryWriteCode(int thread, ulong address, ReadOnlySpan<byte> code)
    {
        for (int i = 0; i < code.Length; i += sizeof(ulong))
        {
            Span<byte> word = stackalloc byte[sizeof(ulong)];
            word.Clear();
            code[i..Math.Min(code.Length, i + sizeof(ulong))].CopyTo(word);
            if (TraceCalls.ptrace(PokeData, thread, (nint)(address + (ulong)i), (void*)BitConverter.ToInt64(word)) != 0)
                return false;
        }

        return true;
    }
}
