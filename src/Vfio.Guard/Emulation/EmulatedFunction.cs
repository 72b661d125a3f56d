using System.Numerics;
using System.Buffers;
using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Emulation;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard;

/// <summary>An emulated PCI function: derive from it, describe it, and add BARs.</summary>
/// <remarks>
/// <para>Config space has the bits that hardware has: BARs can be sized, read-only bits stay, status bits clear by 1, FLR and D3hot
/// reset. What a user may access is not decided here: assign it through <see cref="GuardedFunction"/>.</para>
/// <para>Threads: calls into the function (register handlers, <see cref="BarContent"/>, <see cref="OnReset"/>) come one at a time.
/// What takes long is <see cref="DeviceWork"/>, on a thread of its own: a handler that does it blocks its user, and the reset that
/// would end it. Such a device protects what its threads share with its handlers, and holds no lock of its own when it calls
/// <see cref="Slot"/>, <see cref="Interrupt"/> or <see cref="EndInterrupt"/>. Any thread may call these, handlers included.</para>
/// </remarks>
public abstract class EmulatedFunction : IPciFunction, IMigratableFunction, IRenewableFunction
{
    private readonly ConfigBuilder _layout;
    private readonly EmulatedConfig _config;
    private readonly EmulatedInterrupts _interrupts;
    private readonly EmulatedBars _bars;
    private IPciSlot? _slot;

    /// <summary>Makes the function. The derived constructor adds BARs.</summary>
    /// <param name="description">Its ids, class and capabilities.</param>
    /// <exception cref="ArgumentException">The description is not valid; the message says why.</exception>
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

    /// <summary>Its ids, class and capabilities.</summary>
    public FunctionDescription Description { get; }

    /// <inheritdoc/>
    public string Name => Description.Name;

    /// <inheritdoc/>
    public int ConfigLength => Description.ConfigLength;

    /// <inheritdoc/>
    public IReadOnlyList<ResetMethod> ResetMethods { get; }

    /// <inheritdoc/>
    public VirtualFunctionIds? VirtualIds => Description.VirtualIds;

    /// <summary>The slot where it is attached: memory as bus master.</summary>
    /// <exception cref="InvalidOperationException">It is not attached yet.</exception>
    protected IPciSlot Slot => _slot ?? throw new InvalidOperationException($"{Name} is not attached");

    /// <summary>The threads of its <see cref="DeviceWork"/>.</summary>
    internal DeviceExecutor Executor { get; } = new();

    internal IPciSlot? SlotOrNull => _slot;

    /// <summary>Whether a server may move it to another process; false by default. Config space, registers, memory and interrupts are saved
    /// by this class. A device that keeps more, or has threads, overrides <see cref="OnSave"/>, <see cref="OnRestore"/>,
    /// <see cref="OnStop"/> and <see cref="OnStart"/>.</summary>
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
        if (!Executor.TryPause())
            throw new VfioException("stop", Name, Errno.Busy, "its work does not come to rest, and goes on: try again");
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
    void IRenewableFunction.Renew(bool wasShown)
    {
        _bars.RenewMemory(wasShown);
        OnAssign();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Executor.End(_slot);
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Called before a user opens it, and before the reset that follows. Forgets what that user must not meet of the last one's, and
    /// a reset keeps.</summary>
    internal virtual void OnAssign()
    {
    }

    /// <summary>Adds a BAR.</summary>
    /// <param name="number">0 to 5; a 64-bit BAR takes the next number too.</param>
    /// <param name="content">Its content; disposed with the function.</param>
    /// <param name="type">The address space that it requests.</param>
    /// <exception cref="ArgumentException">The number is taken, or the size is not possible.</exception>
    protected void AddBar(int number, BarContent content, BarType type = BarType.Memory32) => _bars.Add(number, content, type);

    /// <summary>Makes a register of a memory BAR a doorbell: an eventfd's signal stands for a write, without a message or a
    /// reply.</summary>
    /// <remarks>A signal reaches the register's write handler as a write of <paramref name="match"/>, or of 0. Several signals may become
    /// one write, so use it for registers where the write matters and not its value. Writes of the register work as before.</remarks>
    /// <param name="number">The BAR, added before.</param>
    /// <param name="offset">Offset of the register, in bytes; a multiple of <paramref name="width"/>.</param>
    /// <param name="width">Its width: 1, 2, 4 or 8 bytes.</param>
    /// <param name="match">The only value that has an effect; null when every value has the same effect.</param>
    /// <exception cref="ArgumentException">The BAR cannot have such a register, or is one of I/O ports.</exception>
    protected void AddDoorbell(int number, ulong offset, int width, ulong? match = null) =>
        _bars.AddDoorbell(number, new Doorbell(offset, width, match));

    /// <summary>Adds an expansion ROM.</summary>
    /// <param name="content">Its bytes; a power of two of at least 2048. Writes never reach it. Disposed with the function.</param>
    protected void AddRom(BarContent content) => _bars.AddRom(content);

    /// <summary>Interrupts: sends an MSI-X or MSI message, or asserts the pin, whichever is enabled.</summary>
    /// <remarks>The guard enables MSI or MSI-X in the function when its user binds an eventfd to one of its vectors. A message that
    /// is masked stays pending and is sent when it is unmasked.</remarks>
    /// <param name="vector">From 0; ignored for the pin.</param>
    protected void Interrupt(int vector = 0) => _interrupts.Raise(vector);

    /// <summary>Deasserts the pin, when the reason for the interrupt is gone. Has no effect on messages.</summary>
    protected void EndInterrupt() => _interrupts.Assert(false);

    /// <summary>Abandons all of its <see cref="DeviceWork"/>, for a reset that the device has in its own registers. A reset of the
    /// function does so by itself. Call it from the function's handlers only.</summary>
    protected void AbandonWork() => Executor.Abandon(_slot);

    internal void InterruptFor(int vector) => _interrupts.Raise(vector);

    /// <summary>As <see cref="Interrupt"/>, for each vector of a mask.</summary>
    internal void InterruptEach(uint vectors)
    {
        for (; vectors != 0; vectors &= vectors - 1)
            Interrupt(BitOperations.TrailingZeroCount(vectors));
    }

    internal void EndInterruptFor() => _interrupts.Assert(false);

    /// <summary>Called in a reset, when config space, registers and interrupts are as after power-on and all <see cref="DeviceWork"/> is
    /// abandoned.</summary>
    /// <remarks>When it returns, the device accesses no memory and sends no interrupts, from threads that are not
    /// <see cref="DeviceWork"/> either.</remarks>
    protected virtual void OnReset()
    {
    }

    /// <summary>Called when it must stop for a migration: as <see cref="OnReset"/>, but nothing may be lost. <see
    /// cref="DeviceWork"/> is paused already, and continues after <see cref="OnStart"/>; what a driver starts in between is kept
    /// too.</summary>
    protected virtual void OnStop()
    {
    }

    /// <summary>Called when it may run again: here, or where its state was restored.</summary>
    protected virtual void OnStart()
    {
    }

    /// <summary>Saves the state that the device keeps beside its registers; it is stopped.</summary>
    protected virtual void OnSave(StateWriter state)
    {
    }

    /// <summary>Restores what <see cref="OnSave"/> wrote. A hostile user may have forged it, and the registers with it: check
    /// everything that the device relies on.</summary>
    /// <returns>False when the state is not valid; the device is reset then.</returns>
    protected virtual bool OnRestore(ref StateReader state) => true;

    /// <summary>Disposes the function: the device's own threads end here.</summary>
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
