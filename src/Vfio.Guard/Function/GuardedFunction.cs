using Vfio.Guard.Config;
using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Guard;

/// <summary>Mediates a PCI function: it stands between the hardware, as its owner has it, and one user at a time.</summary>
/// <remarks>
/// <para>This is the owner's object; it lives as long as the function. <see cref="Open"/> hands out what a user may have.</para>
/// <para>The user's config space goes by the rules of <see cref="Rules"/>. BARs, decoding, interrupt vectors and the power state are
/// virtual; bus mastering starts off; DMA goes only where it was mapped. Vectors fire by the eventfds that are bound to them: the
/// enable, address and data registers of MSI and MSI-X are the user's own and mean nothing, their mask bits hold vectors back.</para>
/// <para>Any thread may use it. The function below is called by one thread at a time.</para>
/// </remarks>
public sealed class GuardedFunction : IDisposable
{
    private readonly IPciFunction _function;
    private readonly FunctionLayout _layout;
    private readonly OwnerState _owner;
    private readonly RefusalCounter _refusals = new();
    private readonly GuardSlot _slot;
    private readonly FunctionLock _functionLock = new();
    private volatile GuardedDevice? _device;
    private bool _isDisposed;
    private bool _hasDeparted;

    /// <summary>Plugs a function in.</summary>
    /// <param name="function">The function; owned from now on, also when this throws.</param>
    /// <param name="name">Its address for messages; <c>model:</c> and its name when null.</param>
    /// <param name="policy">What the owner decides; null for the safe choices.</param>
    /// <exception cref="VfioException">EINVAL: it is a bridge.</exception>
    public GuardedFunction(IPciFunction function, string? name = null, GuardPolicy? policy = null)
    {
        ArgumentNullException.ThrowIfNull(function);
        _function = function;
        Name = name ?? $"model:{function.Name}";
        Policy = policy ?? new GuardPolicy();
        _slot = new GuardSlot(_refusals);
        try
        {
            function.Connect(_slot);
            _layout = new FunctionLayout(function);
            _owner = new OwnerState(_layout);
            HasIntxDisable = ProbeIntxDisable();
        }
        catch
        {
            function.Dispose();
            throw;
        }
    }

    /// <summary>Its address, for messages.</summary>
    public string Name { get; }

    /// <summary>What the owner decides.</summary>
    public GuardPolicy Policy { get; }

    /// <summary>Whether it can be reset; asked without doing one.</summary>
    public bool CanReset => _function.ResetMethods.Count > 0;

    /// <summary>Whether a user has it.</summary>
    public bool IsOpen => _device is not null;

    /// <summary>Whether the last reset failed: nobody gets the function until one succeeds.</summary>
    public bool NeedsReset { get; private set; }

    /// <summary>What failed first when the last user gave it back, for example <see cref="VfioException"/> with ENODEV; null when nothing
    /// did. All that could be done was done nevertheless.</summary>
    public Exception? CloseFailure { get; internal set; }

    /// <summary>What every bit of config space is to a user.</summary>
    internal ConfigRules Rules => _layout.Rules;

    /// <summary>What was refused since the function was attached.</summary>
    public GuardRefusals Refusals => _refusals.Value;

    /// <summary>What was refused to the user who has it now; zeros when nobody has.</summary>
    public GuardRefusals RefusalsOfUser => _device?.Refusals ?? default;

    /// <summary>Whether INTx can be masked in the function itself (PCI 2.3, Command, bit 10), found out by trying.</summary>
    private bool HasIntxDisable { get; }

    internal FunctionLayout Layout => _layout;

    /// <summary>Assigns it: reset, with its owner's settings, bus master off.</summary>
    /// <returns>The assigned device. Disposing it gives the function back: interrupts and memory are taken away, and it is reset. When the
    /// function fails then, <see cref="CloseFailure"/> says how; only a fault in its code is thrown, after all is done.</returns>
    /// <exception cref="VfioException">EBUSY: a user has it; ENOTTY: it cannot be reset; else why the reset failed.</exception>
    public IVfioDevice Open()
    {
        using FunctionLock.Scope held = _functionLock.Take();
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_device is not null)
            throw new VfioException("open", Name, Errno.Busy, "another user has it");
        if (_hasDeparted)
            throw new VfioException("open", Name, Errno.NoDevice, "it went on to another process");
        Errno error = ResetHardware(isAssigned: true);
        if (error == Errno.NoSuchOperation && Policy.AllowWithoutReset && !NeedsReset)
            error = _owner.Restore(isAssigned: true);
        if (error != Errno.None)
        {
            string why = error == Errno.NoSuchOperation ? "it cannot be reset, so nobody knows what state it is in" : "the reset failed";
            throw new VfioException("open", Name, error, why);
        }

        GuardedDevice device = Prepare();
        _functionLock.SetAfterwards(device.Flush);
        _device = device;
        _slot.SetUser(device);
        return device;
    }

    /// <summary>Extends the table for a function with registers where no table has them; see <see cref="ConfigRules.Permit"/>.
    /// Whether the caller may is the caller's matter.</summary>
    /// <remarks>What a user writes there goes when the user does: the owner's values come back. In vendor-specific capabilities, which
    /// the guard never writes, that is left to the reset. Permit whole bytes where other bits of one may be cleared by a written 1: the
    /// guard cannot know, and writes them back as they are.</remarks>
    /// <exception cref="ArgumentException">No such dword, or bits that are the guard's own.</exception>
    public void Permit(int offset, uint readBits, uint writeBits)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        Rules.Permit(offset, readBits, writeBits);
        _owner.Permit(offset, writeBits);
    }

    /// <summary>Checks how well it can be assigned.</summary>
    public WellBehavedReport Check() => WellBehavedReport.Of(new AssignmentFacts(
        _layout.Space,
        _layout.BarBytes,
        [.. _function.ResetMethods.Select(method => method.ToString())],
        new Finding("IOMMU group viable", Answer.Unknown, "a function seen by itself does not show its group"))
    {
        Capabilities = _layout.Capabilities,
        Rules = _layout.Rules,
        CanMaskIntx = HasIntxDisable,
    });

    /// <summary>Asks the user to give it back: the REQ interrupt. Does nothing when nobody has it.</summary>
    public void RequestBack() => _device?.Notify(InterruptIndex.Request);

    /// <summary>Tells the user that the device met an error it could not correct: the ERR interrupt.</summary>
    public void ReportError() => _device?.Notify(InterruptIndex.Error);

    /// <summary>Takes it back from its user, if there is one, and unplugs it.</summary>
    public void Dispose()
    {
        GuardedDevice? device;
        using (FunctionLock.Scope held = _functionLock.Take())
        {
            if (_isDisposed)
                return;

            // From here on nobody can open it, so that this is the last lease.
            _isDisposed = true;
            device = _device;
        }

        try
        {
            device?.TakeAway();
        }
        finally
        {
            _function.Dispose();
        }
    }

    /// <summary>Resets it by the first method that works, under its lock.</summary>
    /// <returns>ENOTTY: it has none; else why the last one failed.</returns>
    internal Errno ResetHardware(bool isAssigned)
    {
        Errno error = Errno.NoSuchOperation;
        foreach (ResetMethod method in _function.ResetMethods)
        {
            error = ResetHardware(method, isAssigned);
            if (error == Errno.None)
                break;
        }

        return error;
    }

    /// <summary>Resets it by one method, under its lock, and puts back what its owner had set.</summary>
    internal Errno ResetHardware(ResetMethod method, bool isAssigned)
    {
        NeedsReset = true;
        Errno error;
        try
        {
            TryStopBusMaster();
            _slot.IsResetting = true;
            error = _function.Reset(method);
            _slot.IsResetting = false;
            if (error == Errno.None)
                error = _owner.Restore(isAssigned);
        }
        catch (VfioException refusal) when (refusal.Errno != Errno.None)
        {
            error = refusal.Errno;
        }
        finally
        {
            _slot.IsResetting = false;
        }

        NeedsReset = error != Errno.None;
        return error;
    }

    /// <summary>The user gave it back; under its lock. Whatever fails, it can be opened again, and is reset before it is.</summary>
    internal void TakeBack(CloseSteps steps)
    {
        _slot.SetUser(null);
        _functionLock.SetAfterwards(null);
        _device = null;
        NeedsReset = CanReset;
        steps.Do(_owner.StopBusMaster);
        steps.Do(() => Refuse(CanReset ? ResetHardware(isAssigned: false) : _owner.Restore(isAssigned: false)));
    }

    /// <summary>Another process goes on with it, and shares its memory: it is not reset, and nobody gets it here any more. In its
    /// lock.</summary>
    internal void Depart()
    {
        _slot.SetUser(null);
        _functionLock.SetAfterwards(null);
        _hasDeparted = true;
        _device = null;
    }

    /// <summary>Makes what a user gets. When that fails nobody has it, and it is quiet if it can still be told so.</summary>
    private GuardedDevice Prepare()
    {
        bool isMade = false;
        try
        {
            GuardedDevice device = new(this, _layout, _owner, _functionLock, new RefusalCounter(_refusals));
            isMade = true;
            return device;
        }
        finally
        {
            if (!isMade)
            {
                NeedsReset = CanReset;
                TryStopBusMaster();
            }
        }
    }

    private void TryStopBusMaster()
    {
        try
        {
            _owner.StopBusMaster();
        }
        catch (VfioException)
        {
            // A reset comes next, which turns it off too.
        }
    }

    private void Refuse(Errno error)
    {
        if (error != Errno.None)
            throw new VfioException("reset at close", Name, error, "it is tried again when it is opened next");
    }

    /// <summary>Flips INTx disable and looks whether the flip holds; PCI Local Bus 3.0, section 6.2.2.</summary>
    private bool ProbeIntxDisable()
    {
        const int Command = 4;
        const uint IntxDisable = 0x400;
        uint before = _function.ReadConfig(Command, 2);
        _function.WriteConfig(Command, 2, before ^ IntxDisable);
        uint after = _function.ReadConfig(Command, 2);
        _function.WriteConfig(Command, 2, before);
        return ((before ^ after) & IntxDisable) != 0;
    }
}
