using Vfio.Native;
using Vfio.Native.Tracing;
using Vfio.Native.Waiting;
using Vfio.Run.Interface;
using Vfio.Run.Tree;

namespace Vfio.Run.Tracing;

/// <summary>Answers the system calls of a program, and of all that it starts, until the last of them has ended.</summary>
internal sealed class CallSupervisor
{
    private readonly NotificationListener _listener;
    private readonly OpenFiles _files;
    private readonly RunRecord _record;
    private readonly PathCalls _paths;
    private readonly WrittenFiles _written;
    private readonly DeviceCalls _devices;
    private readonly BackgroundThread _answering;
    private readonly BackgroundThread _closing;
    private readonly EventFd _end = EventFd.Create();
    private volatile bool _isOver;

    /// <summary>Answers from now on.</summary>
    /// <param name="listener">Where calls arrive.</param>
    /// <param name="machine">What opens device files.</param>
    /// <param name="tree">The other files.</param>
    /// <param name="files">The open device files.</param>
    /// <param name="record">Where calls are recorded.</param>
    /// <param name="polled">Doorbells; null where no tracer makes the accesses to mapped BARs.</param>
    internal CallSupervisor(NotificationListener listener, ServedMachine machine, MachineTree tree, OpenFiles files, RunRecord record, PolledRegisters? polled)
    {
        _listener = listener;
        _files = files;
        DriverAttributes attributes = new(machine, tree);
        _written = new WrittenFiles(tree, attributes);
        _paths = new PathCalls(listener, machine, tree, files, attributes, _written, record);
        _devices = new DeviceCalls(listener, files, polled, record);
        _record = record;
        _answering = new BackgroundThread("vfio calls", AnswerAll);
        _closing = new BackgroundThread("vfio closes", CloseAll);
    }

    /// <summary>The first fault of this program, in an answer; null for none.</summary>
    internal Exception? Fault { get; private set; }

    /// <summary>The threads that made calls, and those that are added to them.</summary>
    internal CallerThreads Callers { get; } = new();

    /// <summary>Waits for the end of the last process.</summary>
    internal void Join()
    {
        _answering.Join();
        _isOver = true;
        _end.Signal();
        _closing.Join();
        _end.Dispose();
        _devices.Dispose();
        _written.Dispose();
    }

    private void AnswerAll()
    {
        while (_listener.TryReceive(out Notification call))
        {
            _record.AddCall();
            Callers.Add(call.Thread);
            try
            {
                _written.DoWrites();
                if (!TryAnswer(call))
                    _listener.Continue(call.Id);
            }
            catch (VfioException refusal)
            {
                _listener.Answer(call.Id, -(long)refusal.Errno);
            }
            catch (Exception fault)
            {
                // The program would wait for ever.
                Fault ??= fault;
                _listener.Answer(call.Id, -(long)Errno.InputOutput);
            }
        }
    }

    private bool TryAnswer(in Notification call) => call.Number switch
    {
        SystemCall.Ioctl or SystemCall.Pread64 or SystemCall.Pwrite64 or SystemCall.Preadv or SystemCall.Pwritev or SystemCall.Mmap => _devices.TryAnswer(call),
        _ => _paths.TryAnswer(call),
    };

    private void CloseAll()
    {
        while (!_isOver)
        {
            _files.WaitForClose(_end.Descriptor);
            _files.CloseAbandoned();
        }
    }
}
