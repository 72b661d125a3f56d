using Vfio.Guard.Interrupts;
using Vfio.Providers;

namespace Vfio.Guard.Migration;

/// <summary>The migration of one lease: its state, and the stream that goes in or out.</summary>
/// <remarks>Called under the function's lock, but for <see cref="IsStopped"/>, which any thread may ask.</remarks>
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
    /// <param name="guard">What the guard has of its state.</param>
    /// <param name="interrupts">Held back while the function is stopped.</param>
    /// <param name="name">The lease's, for messages.</param>
    /// <param name="reset">Makes function and guard as at open; throws when it fails.</param>
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

    /// <summary>Whether the device may neither use memory nor interrupt.</summary>
    internal bool IsStopped => _isStopped;

    /// <summary>Whether a state is being taken over: what the user seems to write is not the user's doing.</summary>
    internal bool IsRestoring { get; private set; }

    /// <summary>Brings it to a state, step by step.</summary>
    internal void Set(MigrationState target)
    {
        IMigratableFunction function = Function();
        while (State != target)
        {
            if (!MigrationPath.TryStep(State, target, Features, out MigrationState next))
                throw new VfioException($"change from {State} to {target}", _name, Errno.InvalidArgument, "no way leads there");
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

    /// <summary>The device was reset: it runs, whatever it did before.</summary>
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
                EndSessions();
                Stop(function);
                State = MigrationState.Stop; // where it is, should saving fail
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
                // Half of a state may be in it: nothing of that is to be seen.
                ResetOrFail();
                State = MigrationState.Error;
            }
        }

        if (!isRestored)
            throw NotItsState("end of the restoring");
    }

    private void ResetOrFail()
    {
        // Until the reset is done nobody knows what the device is.
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

    private VfioException NotNow(string what) => new($"{what} of a state", _name, Errno.InvalidArgument, $"not while it is {State}");

    private VfioException NotItsState(string what) => new(what, _name, Errno.InvalidArgument, "not all of it, or not of such a device");
}
