using System.Buffers;
using Vfio.Guard.Config;
using Vfio.Guard.Emulation;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard;

/// <summary>A PCI function made of software: derive from it, describe it, add BARs, and it behaves as hardware does on its bus.</summary>
/// <remarks>
/// <para>Config space has the bits that hardware has: BARs can be sized, read-only bits stay, status bits clear by 1, FLR and D3hot
/// reset. What a user may do to it is not decided here: assign it through <see cref="GuardedFunction"/>.</para>
/// <para>Threads: all calls into the function (register handlers, <see cref="BarContent"/>, <see cref="OnReset"/>) come one at a time.
/// What takes long is <see cref="DeviceWork"/>, on a thread of its own: a handler that does it holds up its user, and the reset that
/// would end it. Such a device protects what its threads share with its handlers, and holds no lock of its own when it calls
/// <see cref="Slot"/>, <see cref="Interrupt"/> or <see cref="EndInterrupt"/>; those may be called from any thread, handlers
/// included.</para>
/// </remarks>
public abstract class EmulatedFunction : IPciFunction, IMigratableFunction
{
    private readonly ConfigBuilder _layout;
    private readonly EmulatedConfig _config;
    private readonly EmulatedInterrupts _interrupts;
    private readonly EmulatedBars _bars;
    private IPciSlot? _slot;

    /// <summary>Makes the function; BARs are added by the derived constructor.</summary>
    /// <param name="description">What it is.</param>
    /// <exception cref="ArgumentException">No such function can be: the message says why.</exception>
    protected EmulatedFunction(FunctionDescription description)
    {
        ArgumentNullException.ThrowIfNull(description);
        Description = description;
        _layout = new ConfigBuilder(description);
        _config = _layout.Config;
        _interrupts = new EmulatedInterrupts(description, _layout);
        _bars = new EmulatedBars(description, _config, _interrupts);
        ResetMethods = [.. FindResetMethods()];
    }

    /// <summary>What it is.</summary>
    public FunctionDescription Description { get; }

    /// <inheritdoc/>
    public string Name => Description.Name;

    /// <inheritdoc/>
    public int ConfigLength => Description.ConfigLength;

    /// <inheritdoc/>
    public IReadOnlyList<ResetMethod> ResetMethods { get; }

    /// <inheritdoc/>
    public VirtualFunctionIds? VirtualIds => Description.VirtualIds;

    /// <summary>Where it is attached: memory as bus master.</summary>
    /// <exception cref="InvalidOperationException">It is not attached yet.</exception>
    protected IPciSlot Slot => _slot ?? throw new InvalidOperationException($"{Name} is not attached");

    /// <summary>The threads of its <see cref="DeviceWork"/>.</summary>
    internal DeviceExecutor Executor { get; } = new();

    internal IPciSlot? SlotOrNull => _slot;

    /// <summary>Whether a server may carry it to another process. Config space, registers, memory and interrupts go by themselves; a
    /// device that keeps more, or has threads, overrides <see cref="OnSave"/>, <see cref="OnRestore"/>, <see cref="OnStop"/> and <see
    /// cref="OnStart"/>. Unless it says so, it cannot.</summary>
    public virtual bool CanMigrate => false;

    /// <inheritdoc/>
    public void Connect(IPciSlot slot)
    {
        ArgumentNullException.ThrowIfNull(slot);
        if (_slot is not null)
            throw new InvalidOperationException($"{Name} is attached already");
        _bars.AssignAddresses();
        _slot = slot;
        _interrupts.Connect(slot);
    }

    /// <inheritdoc/>
    public uint ReadConfig(int offset, int width) => _config.Read(offset, width);

    /// <inheritdoc/>
    public void WriteConfig(int offset, int width, uint value)
    {
        uint power = PowerState;
        _config.Write(offset, width, value);
        if (Sets(offset, width, value, _layout.Express, 0x09, 0x80))
            Reset(ResetMethod.Flr);
        else if (Sets(offset, width, value, _layout.AdvancedFeatures, 0x04, 0x01))
            Reset(ResetMethod.AfFlr);
        else if (power == 3 && PowerState == 0 && Description.PowerManagement == PowerManagementKind.SoftReset)
            Reset(ResetMethod.PowerManagement);
        else
            _interrupts.Recheck();
    }

    /// <inheritdoc/>
    public ulong GetLength(RegionIndex region) => _bars.GetLength(region);

    /// <inheritdoc/>
    public SharedMemory? GetMemory(RegionIndex region) => _bars.GetMemory(region);

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => _bars.GetDoorbells(region);

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => _bars.Read(region, offset, destination);

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => _bars.Write(region, offset, source);

    /// <inheritdoc/>
    public virtual Errno Reset(ResetMethod method)
    {
        AbandonWork();
        _config.Reset();
        _interrupts.Reset();
        _bars.Reset();
        OnReset();
        _slot?.ReportReset();
        return Errno.None;
    }

    /// <inheritdoc/>
    void IMigratableFunction.Stop()
    {
        Executor.Pause();
        OnStop();
    }

    /// <inheritdoc/>
    void IMigratableFunction.Start()
    {
        _interrupts.Recheck();
        OnStart();
        Executor.Resume();
    }

    /// <inheritdoc/>
    void IMigratableFunction.Save(IBufferWriter<byte> to)
    {
        StateWriter state = new();
        _config.Save(state);
        _interrupts.Save(state);
        _bars.Save(state);
        OnSave(state);
        to.Write(state.Written);
    }

    /// <inheritdoc/>
    bool IMigratableFunction.TryRestore(ReadOnlySpan<byte> state)
    {
        StateReader from = new(state);
        return _config.TryRestore(ref from) && _interrupts.TryRestore(ref from) && _bars.TryRestore(ref from)
            && OnRestore(ref from) && from.Left == 0;
    }

    /// <inheritdoc/>
    bool IMigratableFunction.TryTakeMemory(RegionIndex region, SharedMemory memory) => _bars.TryTakeMemory(region, memory);

    /// <inheritdoc/>
    public void Dispose()
    {
        Executor.End(_slot);
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Adds a BAR.</summary>
    /// <param name="number">0 to 5; a 64-bit BAR takes the next number too.</param>
    /// <param name="content">What is behind it; disposed with the function.</param>
    /// <param name="type">What address space it asks for.</param>
    /// <exception cref="ArgumentException">The number is taken, or the size is not possible.</exception>
    protected void AddBar(int number, BarContent content, BarType type = BarType.Memory32) => _bars.Add(number, content, type);

    /// <summary>Lets a register of a memory BAR be rung by an eventfd instead of written, with no message and nobody who waits.</summary>
    /// <remarks>A ring reaches the register's write handler as a write of <paramref name="match"/>, or of 0; several rings may be one
    /// write. So it fits registers of which only the write counts, not the value. Writes of them arrive as ever.</remarks>
    /// <param name="number">The BAR, added before.</param>
    /// <param name="offset">Where the register is, in bytes; a multiple of <paramref name="width"/>.</param>
    /// <param name="width">How wide: 1, 2, 4 or 8 bytes.</param>
    /// <param name="match">The only value that counts; null when every value means the same.</param>
    /// <exception cref="ArgumentException">No such register can be, or the BAR is one of I/O ports.</exception>
    protected void AddDoorbell(int number, ulong offset, int width, ulong? match = null) =>
        _bars.AddDoorbell(number, new Doorbell(offset, width, match));

    /// <summary>Adds an expansion ROM.</summary>
    /// <param name="content">Its bytes; a power of two of at least 2048. Writes never reach it. Disposed with the function.</param>
    protected void AddRom(BarContent content) => _bars.AddRom(content);

    /// <summary>Interrupts: sends an MSI-X or MSI message, or asserts the pin, by what is enabled.</summary>
    /// <remarks>The guard enables MSI or MSI-X in the function when its user binds an eventfd to one of its vectors. A message that
    /// is masked stays pending and is sent when the mask goes.</remarks>
    /// <param name="vector">From 0; ignored for the pin.</param>
    protected void Interrupt(int vector = 0) => _interrupts.Raise(vector);

    /// <summary>The reason for the interrupt is gone: the pin goes down. Messages need no end, and are not disturbed by one.</summary>
    protected void EndInterrupt() => _interrupts.Assert(false);

    /// <summary>Abandons all of its <see cref="DeviceWork"/>, for a reset that the device has in its own registers; every reset of the
    /// function does so by itself. Called as the rest of the function, one call at a time.</summary>
    protected void AbandonWork() => Executor.Abandon(_slot);

    internal void InterruptFor(int vector) => _interrupts.Raise(vector);

    internal void EndInterruptFor() => _interrupts.Assert(false);

    /// <summary>Called in a reset, when config space, registers and interrupts are as after power-on and all <see cref="DeviceWork"/> is
    /// abandoned.</summary>
    /// <remarks>When it returns the device is quiet, threads that are not <see cref="DeviceWork"/> included, and will not touch
    /// memory.</remarks>
    protected virtual void OnReset()
    {
    }

    /// <summary>Called when it is to stand still, for a migration: as <see cref="OnReset"/>, but nothing may be lost. <see
    /// cref="DeviceWork"/> stands still already, and goes on after <see cref="OnStart"/>; what a driver starts meanwhile is kept
    /// too.</summary>
    protected virtual void OnStop()
    {
    }

    /// <summary>Called when it may work again: here, or where its state was taken to.</summary>
    protected virtual void OnStart()
    {
    }

    /// <summary>Writes down what the device keeps beside its registers; it is stopped.</summary>
    protected virtual void OnSave(StateWriter state)
    {
    }

    /// <summary>Takes over what <see cref="OnSave"/> wrote. It may have been made up by a hostile user, and the registers with it: look
    /// at everything that the device relies on.</summary>
    /// <returns>False when it cannot be; the device is reset then.</returns>
    protected virtual bool OnRestore(ref StateReader state) => true;

    /// <summary>Ends it: the device's own threads end here.</summary>
    /// <param name="disposing">False from a finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
            _bars.Dispose();
    }

    private uint PowerState => _layout.PowerManagement == 0 ? 0 : _config.Read(_layout.PowerManagement + 4, 2).Get(1, 0);

    private bool Sets(int offset, int width, uint value, int capability, int register, byte bit)
    {
        int at = capability + register - offset;
        return capability != 0 && Description.HasFlr && at >= 0 && at < width && (value >> (8 * at) & bit) != 0;
    }

    private IEnumerable<ResetMethod> FindResetMethods()
    {
        if (Description.HasOwnReset)
            yield return ResetMethod.DeviceSpecific;
        if (Description.HasFlr)
            yield return Description.IsExpress ? ResetMethod.Flr : ResetMethod.AfFlr;
        if (Description.PowerManagement == PowerManagementKind.SoftReset)
            yield return ResetMethod.PowerManagement;
    }
}
