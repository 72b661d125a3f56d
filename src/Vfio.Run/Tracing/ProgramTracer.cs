using System.Globalization;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Traces a program and all that it starts, and makes their accesses to mapped BARs.</summary>
/// <remarks>
/// <para>A mapped BAR is a file without a byte, so each access is a SIGBUS, of which the tracer is told before the program. It does the
/// instruction in its place. Whatever else happens to the program goes on as if nobody traced it.</para>
/// <para>All of it is on one thread, which the kernel makes the tracer.</para>
/// </remarks>
internal sealed class ProgramTracer(OpenFiles files, PolledRegisters polled, CallerThreads callers, RunRecord record)
{
    private const int BusSignal = 7;
    private readonly MappedBars _bars = new(files, polled);
    private readonly BarEmulator _emulator = new();
    private readonly Dictionary<int, int> _processes = [];
    private readonly List<int> _signals = [];

    /// <summary>The first fault of this program, in an access; null for none.</summary>
    internal Exception? Fault => _emulator.Failure;

    /// <summary>Runs until all have ended.</summary>
    /// <param name="firstProcess">The first process, whose end is the program's.</param>
    /// <param name="ended">Called at its end.</param>
    internal void Run(int firstProcess, Action<ProgramEnd> ended)
    {
        while (ThreadTracer.Wait() is { } stop)
        {
            if (stop.Kind != StopKind.Ended)
            {
                Handle(stop);
                continue;
            }

            Forget(stop.Thread);
            if (stop.Thread == firstProcess)
                ended(stop.End);
        }
    }

    private void Handle(in ThreadStop stop)
    {
        switch (stop.Kind)
        {
            case StopKind.Signal when stop.Signal == BusSignal:
                HandleFault(stop.Thread);
                break;
            case StopKind.Signal:
                ThreadTracer.Continue(stop.Thread, stop.Signal);
                break;
            case StopKind.Group:
                ThreadTracer.Listen(stop.Thread);
                break;
            case StopKind.Exit:
                // It cannot be waited for by its parent as long as it is traced.
                Forget(stop.Thread);
                ThreadTracer.Detach(stop.Thread);
                break;
            case StopKind.Exec:
                Forget(stop.Thread);
                ThreadTracer.Continue(stop.Thread);
                break;
            default:
                // One that began is among these. Its parent may end before it, and it need not make a call.
                callers.Add(stop.Thread);
                ThreadTracer.Continue(stop.Thread);
                break;
        }
    }

    private void Forget(int thread)
    {
        _processes.Remove(thread);
        _emulator.Forget(thread);
        _bars.Forget(thread);
    }

    private void HandleFault(int thread)
    {
        // A signal that another process sends has no code above 0.
        if (!ThreadTracer.TryGetFault(thread, out FaultInfo fault) || fault.Code <= 0
            || _bars.Find(FindProcess(thread), thread, fault.Address, out MappedArea area) is not { } bar)
        {
            ThreadTracer.Continue(thread, BusSignal);
            return;
        }

        // What it rang before comes first.
        polled.Flush();
        record.AddMapped();
        _signals.Clear();
        switch (_emulator.Do(thread, FindProcess(thread), bar, fault.Address, area, _signals))
        {
            case StepResult.Done:
                Follow(thread, bar, fault.Address, area);
                ThreadTracer.Continue(thread, _signals.Count > 0 ? _signals[0] : 0);
                SendRest(thread);
                break;
            case StepResult.Fault:
                ThreadTracer.Continue(thread, BusSignal);
                break;
            default:
                Forget(thread);
                break;
        }
    }

    /// <summary>Lets a page of doorbells that is rung often be memory.</summary>
    private void Follow(int thread, in BarAccess bar, ulong address, in MappedArea area)
    {
        int process = FindProcess(thread);
        if (polled.Count(bar) is not { } page || page.IsRefusedTo(process))
            return;
        if (area.File != page.File)
        {
            // What was known of this address is not so any more.
            files.CountMapping();
            string path = string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{page.Number}");
            switch (_emulator.ReplacePage(thread, process, address, path, _signals))
            {
                case StepResult.Done:
                    break;
                case StepResult.Fault:
                    page.Refuse(process);
                    return;
                default:
                    return;
            }
        }

        polled.Open(page);
    }

    // One at a time: the others come again by themselves.
    private void SendRest(int thread)
    {
        for (int i = 1; i < _signals.Count; i++)
            ThreadTracer.Send(FindProcess(thread), thread, _signals[i]);
    }

    private int FindProcess(int thread)
    {
        if (!_processes.TryGetValue(thread, out int process))
            _processes.Add(thread, process = ThreadCaller.FindProcess(thread));
        return process;
    }
}
