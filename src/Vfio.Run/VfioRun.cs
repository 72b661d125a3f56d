using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Tracing;
using Vfio.Pci;
using Vfio.Run.Interface;
using Vfio.Run.Tracing;
using Vfio.Run.Tree;

namespace Vfio.Run;

/// <summary>A running program that finds devices below <c>/dev/vfio</c> and <c>/sys</c>, as if they were of this machine.</summary>
/// <remarks>
/// <para>The program is unmodified: its system calls on these files are answered in the kernel's place, and so are those of all processes
/// that it starts. It needs neither root, nor an IOMMU, nor VFIO in the kernel. It is for tests: a program that means to can see that it
/// is run so, and reach what it may reach without it.</para>
/// <para>x86-64, Linux 5.14 or later. Any thread may use it.</para>
/// </remarks>
public sealed class VfioRun : IDisposable
{
    private const int Sigkill = 9;
    private static readonly TimeSpan KillInterval = TimeSpan.FromMilliseconds(20);
    private readonly MachineTree _tree;
    private readonly OpenFiles _files;
    private readonly SupervisedProgram _program;

    private readonly RunRecord _record;

    private VfioRun(MachineTree tree, OpenFiles files, SupervisedProgram program, RunRecord record) =>
        (_tree, _files, _program, _record) = (tree, files, program, record);

    /// <summary>Its process id.</summary>
    public int ProcessId => _program.ProcessId;

    /// <summary>Ends with its exit code; 128 + the signal where one ended it, as shells report it. Processes that it started may be there
    /// still.</summary>
    public Task<int> Exit => _program.Exit;

    /// <summary>Ends when the program has ended, all that it started too, and every device is closed.</summary>
    public Task Completion => _program.Completion;

    /// <summary>What it has done so far.</summary>
    public RunCounts Counts => _record.Counts;

    /// <summary>What it has done wrong so far; what it leaves behind is found when it closes a device or has ended. No more than 100 of a
    /// kind.</summary>
    public IReadOnlyList<RunFinding> Findings => _record.Found.Findings;

    /// <summary>Why the log ends early; null while it does not.</summary>
    internal Exception? LogFailure => _record.LogFailure;

    /// <summary>Starts a program.</summary>
    /// <param name="program">The program.</param>
    /// <param name="devices">The devices that it finds.</param>
    /// <param name="options">How to run it; null for the defaults.</param>
    /// <exception cref="VfioException">It, or a device, cannot be opened; EEXIST: a function of the machine that is shown has its address; ENOENT: there is no such program; or the system does not allow to
    /// supervise programs. The message says what to do.</exception>
    /// <exception cref="ArgumentException">Two devices have one address.</exception>
    public static VfioRun Start(RunProgram program, IReadOnlyList<RunDevice> devices, VfioRunOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(devices);
        options ??= new VfioRunOptions();
        bool maps = options.AllowMapping;
        ProgramStart start = ProgramFile.ToStart(program);
        OrdinaryFunctions ordinary = options.ShowMachine ? OrdinaryFunctions.Find() : OrdinaryFunctions.None;
        ServedDevice[] functions = FunctionPlacer.Place(devices, ordinary);
        BarAllocator allocator = new();
        MachineTree tree = MachineTree.Create([.. functions.Select(function => FunctionFacts.Read(function, allocator))], ordinary);
        OpenFiles? files = null;
        try
        {
            files = new OpenFiles(tree.FullPath);
            RunRecord record = new(options.Log);
            ServedMachine machine = new([.. functions.Select(function => Recorded(function, record))], maps ? BarMapping.All : BarMapping.None, record);
            return new VfioRun(tree, files, SupervisedProgram.Start(start, machine, tree, files, record, maps), record);
        }
        catch
        {
            files?.Dispose();
            tree.Dispose();
            throw;
        }
    }

    /// <summary>Sends the program a signal.</summary>
    /// <param name="signal">Its number.</param>
    public void Signal(int signal) => _program.Signal(signal);

    /// <summary>Kills what is left of the program, and closes the devices.</summary>
    public void Dispose()
    {
        // Once more for those that were started meanwhile.
        while (!_program.Completion.IsCompleted)
        {
            _program.SignalAll(Sigkill);
            Task.WaitAny([_program.Completion], KillInterval);
        }

        _program.Dispose();
        _files.Dispose();
        _tree.Dispose();
    }

    private static ServedDevice Recorded(ServedDevice function, RunRecord record) => function with
    {
        Open = () =>
        {
            string name = function.Address.ToString();
            IVfioDevice device = function.Open();
            if (device.TryGet(out IDmaFaultSource? source))
                source.DmaFaulted += fault => record.AddFault(name, fault);
            return new RecordedDevice(device, name, record);
        },
    };
}
