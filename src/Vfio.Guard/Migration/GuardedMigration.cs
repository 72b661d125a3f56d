using Vfio.Guard.Interrupts;
using Vfio.Providers;

namespace Vfio.Guard.Migration;

/// <summary>The migration of one lease: its state, and the data stream out or in.</summary>
/// <remarks>Called under the function's lock, except for <see cref="IsStopped"/>, which any thread may read.</remarks>
internal sealed class GuardedMigration
{
    private readonly IMigratableFunction? _function;
    private readonly GuardState _guard;
    private readonly GuardedInterrupts _interrupts;
    private readonly Action _reset;
    private readonly string _name;
    private StateSource? _source;
    private StateSink? _sink;
    private volatile bool _isStopped;

    /// <param name="function">The function.</param>
    /// <param name="guard">The guard's part of the state.</param>
    /// <param name="interrupts">Held back while the function is stopped.</param>
    /// <param name="name">The lease's name, for messages.</param>
    /// <param name="reset">Restores function and guard as at open; throws when it fails.</param>
    internal GuardedMigration(IPciFunction function, GuardState guard, GuardedInterrupts interrupts, string name, Action reset)
    {
        if (function.ResetMethods.Count > 0)
            function.TryGet(out _function);
        _guard = guard;
        _interrupts = interrupts;
        _name = name;
        _reset = reset;
    }

    internal MigrationFeatures Features =>
        _function is null ? MigrationFeatures.None : MigrationFeatures.StopCopy | MigrationFeatures.PreCopy;

    internal MigrationState State { get; private set; } = MigrationState.Running;

    /// <summary>Whether the device is stopped: it neither uses memory nor interrupts.</summary>
    internal bool IsStopped => _isStopped;

    /// <summary>Whether a state is being restored: the writes are then not the user's.</summary>
    internal bool IsRestoring { get; private set; }

    /// <summary>Changes the state, step by step.</summary>
    internal void Set(MigrationState target)
    {
        IMigratableFunction function = Function();
        while (State != target)
        {
            if (!MigrationPath.TryStep(State, target, Features, out MigrationState next))
                throw new VfioException($"change from {State} to {target}", _name, Errno.InvalidArgument, "no sequence of steps leads there");
            Step(function, next);
        }
    }

    internal int Read(Span<byte> destination)
    {
        Function();
        return _source?.Read(destination) ?? throw NotNow("reading");
    }

    internal void Write(ReadOnlySpan<byte> source)
    {
        Function();
        if (_sink is not { } sink)
            throw NotNow("writing");
        if (sink.Write(source) != Errno.None)
            throw NotItsState("writing of its state");
    }

    /// <summary>Sets the state after a reset: the device runs, whatever it did before.</summary>
    internal void AfterReset()
    {
        if (State == MigrationState.Running)
            return;
        EndSessions();
        State = MigrationState.Running;
        Start();
    }

    private void Step(IMigratableFunction function, MigrationState next)
    {
        switch (State, next)
        {
            case (MigrationState.Running, MigrationState.PreCopy):
                _source = new StateSource(_guard);
                break;
            case (MigrationState.Running, _):
                Stop(function);
                break;
            case (MigrationState.PreCopy, MigrationState.StopCopy):
                StateSource begun = _source!;
                Stop(function);
                EndSessions();
                State = MigrationState.Stop; // the state if saving fails
                Save(function, begun);
                break;
            case (MigrationState.Stop, MigrationState.StopCopy):
                Save(function, new StateSource(_guard));
                break;
            case (MigrationState.Stop, MigrationState.Resuming):
                BeginRestore();
                break;
            case (MigrationState.Stop, MigrationState.Running):
                Start();
                break;
            case (MigrationState.Resuming, _):
                EndRestore(function);
                break;
            default:
                EndSessions();
                break;
        }

        State = next;
    }

    private void Stop(IMigratableFunction function)
    {
        function.Stop();
        _isStopped = true;
        _interrupts.SetHeld(true);
    }

    private void Start()
    {
        if (!_isStopped)
            return;
        _isStopped = false;
        _interrupts.SetHeld(false);
        _function!.Start();
    }

    private void Save(IMigratableFunction function, StateSource source)
    {
        source.Stop(function);
        _source = source;
    }

    private void BeginRestore()
    {
        ResetOrFail();
        _sink = new StateSink(_guard);
    }

    private void EndRestore(IMigratableFunction function)
    {
        StateSink sink = _sink!;
        _sink = null;
        bool isRestored = false;
        try
        {
            IsRestoring = true;
            isRestored = sink.IsWhole && sink.TryRestore(function);
        }
        finally
        {
            IsRestoring = false;
            if (!isRestored)
            {
                // Half of a state may have been restored: the reset removes it.
                ResetOrFail();
                State = MigrationState.Error;
            }
        }

        if (!isRestored)
            throw NotItsState("end of the restoring");
    }

    private void ResetOrFail()
    {
        // Until the reset is done the device's state is unknown.
        MigrationState before = State;
        State = MigrationState.Error;
        _reset();
        State = before;
    }

    private void EndSessions()
    {
        _source = null;
        _sink = null;
    }

    private IMigratableFunction Function() =>
        _function ?? throw new VfioException("migration", _name, Errno.NoSuchOperation, "the device cannot save its state");

    private VfioException NotNow(string what) => new($"{what} of a state", _name, Errno.InvalidArgument, $"not possible while it is {State}");

    private VfioException NotItsState(string what) => new(what, _name, Errno.InvalidArgument, "it is incomplete, or not of such a device");
}
