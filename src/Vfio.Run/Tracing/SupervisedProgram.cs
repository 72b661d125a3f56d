using System.Globalization;
using Vfio.Native.Files;
using Vfio.Native.Tracing;
using Vfio.Native.Waiting;
using Vfio.Run.Interface;
using Vfio.Run.Tree;

namespace Vfio.Run.Tracing;

/// <summary>A program under supervision, from its start to the end of the last process of it.</summary>
internal sealed class SupervisedProgram : IDisposable
{
    private readonly TaskCompletionSource<SuspendedProgram> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<int> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ServedMachine _machine;
    private readonly MachineTree _tree;
    private readonly OpenFiles _files;
    private readonly RunRecord _record;
    private readonly bool _isTraced;
    private readonly BackgroundThread _thread;
    private volatile CallSupervisor? _calls;

    private SupervisedProgram(ProgramStart start, ServedMachine machine, MachineTree tree, OpenFiles files, RunRecord record, bool isTraced)
    {
        (_machine, _tree, _files, _record, _isTraced) = (machine, tree, files, record, isTraced);
        _thread = new BackgroundThread("vfio tracer", () => Run(start));
    }

    /// <summary>Its first process.</summary>
    internal int ProcessId { get; private set; }

    /// <summary>The exit code of its first process, as a shell reports it.</summary>
    internal Task<int> Exit => _exit.Task;

    /// <summary>The end of the last process.</summary>
    internal Task Completion => _completion.Task;

    /// <summary>Starts it.</summary>
    /// <exception cref="VfioException">It cannot be started, or the system does not allow to supervise it.</exception>
    internal static SupervisedProgram Start(ProgramStart start, ServedMachine machine, MachineTree tree, OpenFiles files, RunRecord record, bool isTraced)
    {
        SupervisedProgram program = new(start, machine, tree, files, record, isTraced);
        SuspendedProgram suspended = program._started.Task.GetAwaiter().GetResult();
        program.ProcessId = suspended.ProcessId;
        Errno error = suspended.WaitForResult();
        if (error == Errno.None)
            return program;
        program._completion.Task.GetAwaiter().GetResult();
        program.Dispose();
        throw new VfioException("starting", start.Path, error, HintOn(error));
    }

    /// <summary>Sends its first process a signal; once that has ended, all that are left.</summary>
    internal void Signal(int signal)
    {
        if (Exit.IsCompleted)
            SignalAll(signal);
        else
            Send(ProcessId, signal);
    }

    /// <summary>Sends a signal to all its processes that can be found.</summary>
    internal void SignalAll(int signal)
    {
        // By their calls, and those that have made none yet by their parents.
        HashSet<int> processes = _calls?.FindProcesses() ?? [];
        if (!Exit.IsCompleted)
            processes.UnionWith([ProcessId, .. Descendants(ProcessId)]);
        foreach (int process in processes)
            Send(process, signal);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _thread.Join();
        if (_started.Task.IsCompletedSuccessfully)
            _started.Task.Result.Dispose();
    }

    private static void Send(int process, int signal)
    {
        using ProcessHandle? handle = ProcessHandle.TryOpen(process);
        handle?.Signal(signal);
    }

    private static List<int> Descendants(int process)
    {
        List<int> found = [];
        try
        {
            foreach (string thread in Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task")))
            {
                foreach (string child in File.ReadAllText(thread + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                    found.Add(int.Parse(child, CultureInfo.InvariantCulture));
            }
        }
        catch (Exception ended) when (ended is IOException or UnauthorizedAccessException)
        {
            // It has no children any more.
        }

        return [.. found.SelectMany(Descendants), .. found];
    }

    private static string? HintOn(Errno error) => error switch
    {
        Errno.NotExecutable => "it is a program of no kind that this machine executes; a script starts with #! and its interpreter",
        Errno.NoEntry => "its interpreter, named in its first line or by its linker, is not here",
        _ => null,
    };

    private void Run(ProgramStart start)
    {
        SuspendedProgram suspended;
        try
        {
            suspended = SuspendedProgram.Create(start, RegionOffsets.First, _isTraced);
        }
        catch (Exception refusal)
        {
            _started.SetException(refusal);
            return;
        }

        using PolledRegisters? polled = _isTraced ? new PolledRegisters(_record.IsLogged ? null : _tree.FullPath) : null;
        CallSupervisor calls = _calls = new(suspended.Listener, _machine, _tree, _files, _record, polled);
        suspended.Resume();
        _started.SetResult(suspended);
        ProgramTracer? tracer = polled is null ? null : new(_files, polled, _record);
        if (tracer is not null)
            tracer.Run(suspended.ProcessId, end => _exit.TrySetResult(end.ShellCode));
        else
            _exit.TrySetResult(SuspendedProgram.Reap(suspended.ProcessId).ShellCode);
        calls.Join();
        _files.CloseAbandoned();
        _exit.TrySetResult(0);
        if ((calls.Fault ?? tracer?.Fault) is { } fault)
            _completion.SetException(fault);
        else
            _completion.SetResult();
    }
}
