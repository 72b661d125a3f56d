using Vfio.Abstractions;
using Vfio.Guard.Shared;
using Vfio.Native;

namespace Vfio.Guard.Function;

/// <content>The handover of the lease to another process.</content>
internal sealed partial class GuardedDevice
{
    public bool CanHandOver => Migration != MigrationFeatures.None;

    public DeviceHandover Suspend()
    {
        if (CanHandOver && (MigrationState != MigrationState.Running || _dma.IsLogging))
            throw new VfioException("handover", Name, Errno.Busy, "its user is migrating it; try again later");

        // Eventfds keep later signals for the successor. Without the lock, which the listeners take.
        PauseListening();
        try
        {
            _state.IsMemoryShared = true;
            return new DeviceHandover
            {
                State = DeviceState.Save(this),
                Mappings = _dma.List(),
                Events = _interrupts.Bound(),
                Memory = [.. MemoryToShare()],
                Doorbells = _doorbells.IsValueCreated ? _doorbells.Value.Shown() : [],
                UnboundKinds = _interrupts.UnboundKinds(),
            };
        }
        catch
        {
            ResumeListening();
            if (CanHandOver)
                SetMigrationState(MigrationState.Running);
            throw;
        }
        finally
        {
            _state.IsMemoryShared = false;
        }
    }

    public void TakeOver(DeviceHandover from)
    {
        ArgumentNullException.ThrowIfNull(from);
        PauseListening();
        foreach (DmaMapping mapping in from.Mappings)
            MapDma(mapping);

        foreach (BoundEvent bound in from.Events)
            SetInterrupts(InterruptRequest.Bind(bound.Index, bound.Action, bound.Vector, [bound.Event]));
        try
        {
            _state.IsMemoryShared = true;
            DeviceState.Restore(this, from.State.Span);
        }
        finally
        {
            _state.IsMemoryShared = false;
        }

        using FunctionLock.Scope held = _functionLock.Take();
        _messages.Program();
        TakeDoorbells(from.Doorbells);
        foreach (InterruptIndex kind in from.UnboundKinds)
            Notify(kind);

        // Last, because nothing may reset the device once it shares memory with the predecessor, which may yet continue with it.
        foreach (RegionMemory memory in from.Memory)
            TakeMemory(memory);
    }

    public void Resume()
    {
        SetMigrationState(MigrationState.Running);
        ResumeListening();
    }

    public void Depart()
    {
        _removed.TrySetCanceled();
        CloseSteps steps = new();
        using (FunctionLock.Scope held = _functionLock.Take())
        {
            if (!TryClose(steps))
                return;
            _function.Depart();
        }

        CloseDoorbells(steps);
        steps.ThrowFault();
    }

    private IEnumerable<RegionMemory> MemoryToShare() =>
        from area in _state.UserMemory.DistinctBy(area => area.Region)
        let memory = _state.Layout.Function.GetMemory(area.Region)
        select new RegionMemory(area.Region, memory.File, memory.FileOffset, memory.Length);

    private void PauseListening()
    {
        _interrupts.PauseListening();
        if (_doorbells.IsValueCreated)
            _doorbells.Value.Pause();
    }

    private void ResumeListening()
    {
        _interrupts.ResumeListening();
        if (_doorbells.IsValueCreated)
            _doorbells.Value.Resume();
    }

    private void TakeDoorbells(IReadOnlyList<RegionDoorbell> shown)
    {
        if (shown.Count == 0)
            return;
        _doorbells.Value.Pause();
        foreach (IGrouping<RegionIndex, Doorbell> known in shown.GroupBy(bell => bell.Region, bell => bell.Bell))
        {
            IReadOnlyList<Doorbell> offered = known.Key.IsBar ? _state.Layout.Function.GetDoorbells(known.Key) : [];
            if (!_doorbells.Value.TryTakeOver(known.Key, offered, [.. known]))
                throw NotOfThis($"its doorbells in {known.Key}");
        }
    }

    private void TakeMemory(in RegionMemory from)
    {
        SharedMemory memory = SharedMemory.Share(from.File, from.FileOffset, from.Length, writable: true);
        if (!_state.Layout.Function.TryGet(out IMigratableFunction? function) || !function.TryTakeMemory(from.Region, memory))
        {
            memory.Dispose();
            throw NotOfThis($"the memory of {from.Region}");
        }

        _bars.Refresh(_state.Layout, from.Region);
    }

    private VfioException NotOfThis(string what) =>
        new("taking over", Name, Errno.InvalidArgument, $"the device here cannot take {what}");
}
