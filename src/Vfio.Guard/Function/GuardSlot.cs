using Vfio.Guard.Shared;

namespace Vfio.Guard.Function;

/// <summary>The slot that a guarded function is attached to: its interrupts and accesses reach the user who has it open, if any.</summary>
/// <param name="refusals">Counts what reaches no user.</param>
internal sealed class GuardSlot(RefusalCounter refusals) : IPciSlot
{
    private volatile GuardedDevice? _device;
    private volatile bool _isResetting;
    private volatile GuardedDevice? _last;

    /// <summary>Whether the guard is resetting the function, and needs no report of it.</summary>
    internal bool IsResetting
    {
        get => _isResetting;
        set => _isResetting = value;
    }

    internal void SetUser(GuardedDevice? device)
    {
        _device = device;
        if (device is not null)
            _last = device;
    }

    public Errno ReadMemory(Iova address, Span<byte> destination) =>
        _device is { } device ? device.ReadMemory(address, destination) : Refuse();

    public Errno WriteMemory(Iova address, ReadOnlySpan<byte> source) =>
        _device is { } device ? device.WriteMemory(address, source) : Refuse();

    public Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments)
    {
        segments = 0;
        return _device is { } device ? device.TranslateMemory(address, length, access, out segments) : Refuse();
    }

    public int MappingCount => _device?.MappingCount ?? 0;

    // Also of the user who has just closed it: an access may have begun before.
    public int AccessesAtOwner => _last?.AccessesAtOwner ?? 0;

    public bool IsOwnerAsking(Iova address) => _device is { } device && device.IsOwnerAsking(address);

    public bool IsReachedDirectly(Iova address, ulong length) => _device is not { } device || device.IsReachedDirectly(address, length);

    public void SetIntx(bool asserted) => _device?.SetPin(asserted);

    public void SignalMsi(int vector) => _device?.Message(InterruptIndex.Msi, vector);

    public void SignalMsix(int vector) => _device?.Message(InterruptIndex.Msix, vector);

    public bool HasListener(InterruptIndex kind, int vector) => _device is { } device && device.HasListener(kind, vector);

    public void ReportError() => _device?.Notify(InterruptIndex.Error);

    public void ReportReset()
    {
        if (!IsResetting)
            _device?.FoundReset();
    }

    public void RequestReturn() => _device?.Notify(InterruptIndex.Request);

    private Errno Refuse()
    {
        refusals.AddDmaAccess();
        return Errno.OperationNotPermitted;
    }
}
