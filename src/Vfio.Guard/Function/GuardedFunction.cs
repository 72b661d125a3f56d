using Vfio.Guard.Bars;
using Vfio.Guard.Config;
using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Guard;

/// <summary>Mediates a PCI function between its owner and one user at a time.</summary>
/// <remarks>
/// <para>This is the owner's object; it lives as long as the function. <see cref="Open"/> returns the user's device.</para>
/// <para>Config space follows the rules of <see cref="Rules"/>. BARs, decoding, interrupt vectors and the power state are
/// virtual; bus mastering starts off; DMA reaches only what was mapped. Vectors fire by the eventfds that are bound to them: the
/// user's enable, address and data registers of MSI and MSI-X have no effect, their mask bits hold vectors back.</para>
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
    private bool _hasShownMemory;

    /// <summary>Attaches a function.</summary>
    /// <param name="function">The function; owned by this object from now on, also when this throws.</param>
    /// <param name="name">Its address for messages; <c>model:</c> and its name when null.</param>
    /// <param name="policy">The owner's decisions; null for the defaults, which are safe.</param>
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
            VirtualFunctions = AttachVirtual();
        }
        catch
        {
            function.Dispose();
            throw;
        }
    }

    /// <summary>Its address, for messages.</summary>
    public string Name { get; }

    /// <summary>The owner's decisions.</summary>
    public GuardPolicy Policy { get; }

    /// <summary>Whether it can be reset. Reading it does not reset.</summary>
    public bool CanReset => _function.ResetMethods.Count > 0;

    /// <summary>Its virtual functions, each with a user of its own: they have its <see cref="Policy"/>, and end with it. Empty when it is no
    /// <see cref="IPhysicalFunction"/>.</summary>
    public IReadOnlyList<GuardedFunction> VirtualFunctions { get; }

    /// <summary>Whether a user has it.</summary>
    public bool IsOpen => _device is not null;

    /// <summary>Whether the last reset failed: the function cannot be opened until one succeeds.</summary>
    public bool NeedsReset { get; private set; }

    /// <summary>The first failure when the last user closed the device, for example <see cref="VfioException"/> with ENODEV; null when
    /// there was none. A failure does not skip the later steps of closing.</summary>
    public Exception? CloseFailure { get; internal set; }

    /// <summary>The rule of every bit of config space.</summary>
    internal ConfigRules Rules => _layout.Rules;

    /// <summary>What was refused since the function was attached.</summary>
    public GuardRefusals Refusals => _refusals.Value;

    /// <summary>What was refused to the user who has it now; zeros when nobody has.</summary>
    public GuardRefusals RefusalsOfUser => _device?.Refusals ?? default;

    /// <summary>Whether INTx can be masked in the function itself (PCI 2.3, Command, bit 10). The guard tries it once.</summary>
    private bool HasIntxDisable { get; }

    internal FunctionLayout Layout => _layout;

    /// <summary>Assigns it: resets it, keeps its owner's settings, and leaves bus mastering off.</summary>
    /// <returns>The assigned device. Disposing it releases the function: interrupts and mappings end, and it is reset. When the
    /// function fails then, <see cref="CloseFailure"/> has the reason; only a fault in its code is thrown, after all steps.</returns>
    /// <exception cref="VfioException">EBUSY: a user has it; ENOTTY: it cannot be reset; else why the reset failed.</exception>
    public IVfioDevice Open()
    {
        using FunctionLock.Scope held = _functionLock.Take();
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_device is not null)
            throw new VfioException("open", Name, Errno.Busy, "another user has it");
        if (_hasDeparted)
            throw new VfioException("open", Name, Errno.NoDevice, "it went on to another process");
        if (_function.TryGet(out IRenewableFunction? renewable))
            renewable.Renew(_hasShownMemory);
        _hasShownMemory = false;
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

    /// <summary>Extends the rules for a function with registers that no table describes; see <see cref="ConfigRules.Permit"/>.
    /// The caller decides whether this is allowed.</summary>
    /// <remarks>When the user closes the device, the owner's values are restored. In vendor-specific capabilities, which
    /// the guard never writes, only the reset does that. Permit whole bytes where a written 1 may clear other bits of a byte: the
    /// guard does not know such bits, and writes them back as they were read.</remarks>
    /// <exception cref="ArgumentException">The dword does not exist, or has bits that the guard keeps.</exception>
    public void Permit(int offset, uint readBits, uint writeBits)
    {
        using FunctionLock.Scope held = _functionLock.Take();
        Rules.Permit(offset, readBits, writeBits);
        _owner.Permit(offset, writeBits);
    }

    /// <summary>Checks whether it is safe to assign, and how well.</summary>
    public WellBehavedReport Check() => WellBehavedReport.Of(new AssignmentFacts(
        _layout.Space,
        _layout.BarBytes,
        [.. _function.ResetMethods.Select(method => method.ToString())],
        new Finding("IOMMU group viable", Answer.Unknown, "the check of a single function does not see its group"))
    {
        Capabilities = _layout.Capabilities,
        Rules = _layout.Rules,
        CanMaskIntx = HasIntxDisable,
    });

    /// <summary>Asks the user to release the device: the REQ interrupt. Does nothing when no user has it.</summary>
    public void RequestBack() => _device?.Notify(InterruptIndex.Request);

    /// <summary>Notifies the user that the device met an error that it could not correct: the ERR interrupt.</summary>
    public void ReportError() => _device?.Notify(InterruptIndex.Error);

    /// <summary>Closes the user's device, if there is one, and detaches the function.</summary>
    public void Dispose()
    {
        GuardedDevice? device;
        using (FunctionLock.Scope held = _functionLock.Take())
        {
            if (_isDisposed)
                return;

            // From here on it cannot be opened, so this is the last lease.
            _isDisposed = true;
            device = _device;
        }

        try
        {
            foreach (GuardedFunction function in VirtualFunctions)
                function.Dispose();
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

    /// <summary>Resets it after the user closed it; under its lock. If the reset fails, the next open tries it again.</summary>
    internal void TakeBack(CloseSteps steps)
    {
        _slot.SetUser(null);
        _functionLock.SetAfterwards(null);
        _hasShownMemory |= _device is { HasShownMemory: true };
        _device = null;
        NeedsReset = CanReset;
        steps.Do(_owner.StopBusMaster);
        steps.Do(() => Refuse(CanReset ? ResetHardware(isAssigned: false) : _owner.Restore(isAssigned: false)));
    }

    /// <summary>Ends it here after a handover: another process has the device and shares its memory, so it is not reset, and cannot be
    /// opened here any more. Under its lock.</summary>
    internal void Depart()
    {
        _slot.SetUser(null);
        _functionLock.SetAfterwards(null);
        _hasDeparted = true;
        _device = null;
    }

    /// <summary>Makes the user's device. On a failure the function stays unassigned, and is stopped if it still answers.</summary>
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

    private GuardedFunction[] AttachVirtual()
    {
        if (!_function.TryGet(out IPhysicalFunction? physical))
            return [];
        List<GuardedFunction> attached = [];
        try
        {
            foreach (IPciFunction function in physical.VirtualFunctions)
                attached.Add(new GuardedFunction(function, $"{Name}.vf{attached.Count}", Policy));
            return [.. attached];
        }
        catch
        {
            attached.ForEach(function => function.Dispose());
            throw;
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
            // A reset comes next, which disables it too.
        }
    }

    private void Refuse(Errno error)
    {
        if (error != Errno.None)
            throw new VfioException("reset at close", Name, error, "it is tried again at the next open");
    }

    /// <summary>Flips INTx disable and checks whether the bit holds; PCI Local Bus 3.0, section 6.2.2.</summary>
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
