using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Memory;

namespace Vfio.Native.Tracing;

/// <summary>A process that has the filter and waits to become the program.</summary>
/// <remarks>It is a child of the thread that starts it, and ends when that thread ends.</remarks>
internal sealed unsafe class SuspendedProgram : IDisposable
{
    private const int OpenRetries = 100;
    private const int Sigkill = 9;
    private const int ActionsBytes = 1024, AttributesBytes = 1024, SignalSetWords = 16;
    private const int TextFileBusy = 26;
    private const int BrokenPipeSignal = 13, ChildSignal = 17, NoChildStops = 1;
    private const int PtraceSeize = 0x4206;

    private readonly FileDescriptor _socket;

    private SuspendedProgram(int processId, FileDescriptor socket, NotificationListener listener) =>
        (ProcessId, _socket, Listener) = (processId, socket, listener);

    /// <summary>Its number; the program's, too.</summary>
    internal int ProcessId { get; }

    /// <summary>Where the filter tells of system calls.</summary>
    internal NotificationListener Listener { get; }

    /// <summary>Starts the process.</summary>
    /// <param name="start">The program.</param>
    /// <param name="firstOffset">The first offset in a file that only devices have.</param>
    /// <param name="isTraced">Whether this thread becomes the tracer of the process, and of all that it will start.</param>
    /// <exception cref="VfioException">The system does not allow it; the message says what to do.</exception>
    internal static SuspendedProgram Create(ProgramStart start, ulong firstOffset, bool isTraced)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw new VfioException("running", start.Path, Errno.NotImplemented, "programs are supervised on x86-64 only");
        if (isTraced)
            IgnoreStops();
        (FileDescriptor ours, FileDescriptor theirs) = SocketPair();
        using (theirs)
        {
            using FileDescriptor launcher = LauncherFor(start.Path, firstOffset, theirs.Number);
            int processId = Spawn(start, launcher, theirs);
            theirs.Dispose();
            try
            {
                int listener = ReadNumber(ours) ?? throw new VfioException("starting", start.Path, Errno.InputOutput, "its process ended at once");
                if (listener < 0)
                    throw new VfioException("seccomp", start.Path, (Errno)(-listener), HintOnFilter((Errno)(-listener)));
                using ProcessHandle process = ProcessHandle.TryOpen(processId)
                    ?? throw new VfioException("starting", start.Path, Errno.InputOutput, "its process ended at once");
                FileDescriptor copy = process.TryCopyDescriptor(listener)
                    ?? throw VfioException.FromLastError("tracing", start.Path, HintOnTrace);
                if (isTraced && TraceCalls.ptrace(PtraceSeize, processId, 0, (void*)(nint)TraceOptions.All) != 0)
                {
                    VfioException refusal = VfioException.FromLastError("tracing", start.Path, HintOnTrace + ", or use --no-mmap");
                    copy.Dispose();
                    throw refusal;
                }

                return new SuspendedProgram(processId, ours, new NotificationListener(copy));
            }
            catch
            {
                ours.Dispose();
                _ = TraceCalls.kill(processId, Sigkill);
                _ = Reap(processId);
                throw;
            }
        }
    }

    /// <summary>Lets it become the program.</summary>
    /// <remarks>Another thread answers what <see cref="Listener"/> tells meanwhile, and the tracer goes on: a traced process stops when it
    /// starts the program. This asks, and <see cref="WaitForResult"/> waits.</remarks>
    internal void Resume()
    {
        byte go = 1;
        _ = LibC.write(_socket.Number, &go, 1);
    }

    /// <summary>Waits until it is the program.</summary>
    /// <returns>Why it could not become it, or <see cref="Errno.None"/>.</returns>
    internal Errno WaitForResult() => (Errno)(-(ReadNumber(_socket) ?? 0));

    /// <summary>Waits for the end of a child of this thread that is not traced.</summary>
    internal static ProgramEnd Reap(int processId)
    {
        int status;
        while (TraceCalls.waitpid(processId, &status, 0) < 0)
        {
            if ((Errno)Marshal.GetLastPInvokeError() != Errno.Interrupted)
                return new ProgramEnd(0, 0);
        }

        return ProgramEnd.Of(status);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        Listener.Dispose();
    }

    private const string HintOnTrace =
        "tracing is not allowed here: in a container add the capability SYS_PTRACE, on a machine set kernel.yama.ptrace_scope to 0 or 1";

    private static string HintOnFilter(Errno errno) => errno switch
    {
        Errno.Busy => "this is inside a 'vfio run' already, which cannot be nested: give the outer one all devices",
        Errno.InvalidArgument or Errno.NotImplemented => "the kernel has no seccomp notification: use Linux 5.14 or later, built with CONFIG_SECCOMP_FILTER",
        _ => "the container's own filter refuses it: start it with --security-opt seccomp=unconfined",
    };

    /// <summary>Has the kernel send no signal when a child stops: a traced one stops at each access to a mapped BAR, and .NET wakes a thread for each
    /// signal. That a child has ended is told as before.</summary>
    private static void IgnoreStops()
    {
        LibC.SignalAction action;
        if (LibC.sigaction(ChildSignal, null, &action) != 0 || (action.Flags & NoChildStops) != 0)
            return;
        action.Flags |= NoChildStops;
        _ = LibC.sigaction(ChildSignal, &action, null);
    }

    private static (FileDescriptor Ours, FileDescriptor Theirs) SocketPair()
    {
        int* pair = stackalloc int[2];
        return LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_CLOEXEC, 0, pair) == 0
            ? (new FileDescriptor(pair[0]), new FileDescriptor(pair[1]))
            : throw VfioException.FromLastError("socketpair", "this process", "raise the limit on open files (ulimit -n)");
    }

    private static FileDescriptor LauncherFor(string path, ulong firstOffset, int socket)
    {
        byte[] bytes = LaunchFile.Build(path, SystemCallFilter.Build(firstOffset), socket);
        using FileDescriptor writable = MemoryFile.CreateUnsealed("vfio-run", 0);
        fixed (byte* start = bytes)
        {
            if (LibC.pwrite(writable.Number, start, (nuint)bytes.Length, 0) != bytes.Length)
                throw VfioException.FromLastError("write", "the launcher");
        }

        // A file that is open for writing cannot be executed.
        int readable = LibC.open($"/proc/self/fd/{writable.Number}", LibC.O_RDONLY | LibC.O_CLOEXEC);
        return readable >= 0 ? new FileDescriptor(readable) : throw VfioException.FromLastError("open", "the launcher");
    }

    private static int Spawn(ProgramStart start, FileDescriptor launcher, FileDescriptor socket)
    {
        byte* actions = stackalloc byte[ActionsBytes];
        byte* attributes = stackalloc byte[AttributesBytes];
        ulong* defaults = stackalloc ulong[SignalSetWords];
        new Span<ulong>(defaults, SignalSetWords).Clear();
        using NativeText texts = new();

        // .NET ignores SIGPIPE, and what is ignored would stay so in the program.
        defaults[0] = 1UL << (BrokenPipeSignal - 1);
        _ = TraceCalls.posix_spawnattr_init(attributes);
        _ = TraceCalls.posix_spawnattr_setflags(attributes, TraceCalls.PosixSpawnSetSignalDefaults);
        _ = TraceCalls.posix_spawnattr_setsigdefault(attributes, defaults);
        _ = TraceCalls.posix_spawn_file_actions_init(actions);
        try
        {
            for (int number = 0; number < start.Standard.Count; number++)
            {
                if (start.Standard[number] is { } file)
                    _ = TraceCalls.posix_spawn_file_actions_adddup2(actions, file.Number, number);
            }

            _ = TraceCalls.posix_spawn_file_actions_adddup2(actions, socket.Number, socket.Number); // and so not close-on-exec
            if (start.WorkingDirectory is { } folder)
                _ = TraceCalls.posix_spawn_file_actions_addchdir(actions, texts.Of(folder));
            byte** arguments = texts.Of(start.Arguments);
            byte** environment = texts.Of(start.Environment);
            byte* launcherPath = texts.Of($"/proc/self/fd/{launcher.Number}");
            for (int retry = 0; ; retry++)
            {
                int processId;
                int error = TraceCalls.posix_spawn(&processId, launcherPath, actions, attributes, arguments, environment);
                if (error == 0)
                    return processId;

                // Another thread's new process has the writable descriptor until it executes its own program.
                if (error != TextFileBusy || retry == OpenRetries)
                    throw new VfioException("starting", start.Path, (Errno)error, HintOnSpawn((Errno)error));
                Thread.Sleep(1);
            }
        }
        finally
        {
            _ = TraceCalls.posix_spawn_file_actions_destroy(actions);
            _ = TraceCalls.posix_spawnattr_destroy(attributes);
        }
    }

    private static string? HintOnSpawn(Errno errno) => errno switch
    {
        Errno.AccessDenied => "files in memory cannot be executed here: set vm.memfd_noexec to 0 or 1",
        Errno.NoEntry or Errno.NotDirectory => "check its working directory, and that /proc is mounted",
        _ => null,
    };

    /// <summary>The next number on the socket; null at its end.</summary>
    private static int? ReadNumber(FileDescriptor socket)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        fixed (byte* to = bytes)
        {
            nint count;
            do
                count = LibC.read(socket.Number, to, sizeof(int));
            while (count < 0 && (Errno)Marshal.GetLastPInvokeError() == Errno.Interrupted);
            return count == sizeof(int) ? BinaryPrimitives.ReadInt32LittleEndian(bytes) : null;
        }
    }

    /// <summary>Texts as C has them, until it is disposed.</summary>
    private sealed class NativeText : IDisposable
    {
        private readonly List<nint> _memory = [];

        public byte* Of(string text)
        {
            nint memory = Marshal.StringToCoTaskMemUTF8(text);
            _memory.Add(memory);
            return (byte*)memory;
        }

        public byte** Of(IReadOnlyList<string> texts)
        {
            nint memory = Marshal.AllocCoTaskMem((texts.Count + 1) * sizeof(byte*));
            _memory.Add(memory);
            byte** all = (byte**)memory;
            for (int i = 0; i < texts.Count; i++)
                all[i] = Of(texts[i]);
            all[texts.Count] = null;
            return all;
        }

        public void Dispose() => _memory.ForEach(Marshal.FreeCoTaskMem);
    }
}
