using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The interrupts of an open device: <c>vfio_set_irqs_validate_and_prepare</c> of <c>drivers/vfio/vfio_main.c</c>, and
/// <c>pci/vfio_pci_intrs.c</c>.</summary>
/// <remarks>The kernel has one of INTx, MSI and MSI-X in use at a time, and many answers depend on which. The device has rules of its own,
/// which may be milder; so the kernel's are checked here first.</remarks>
internal sealed class InterruptCommands
{
    private const uint DataNone = 1, DataBool = 2, DataEventFd = 4, DataMask = 7;
    private const uint ActionMask = 8, ActionUnmask = 16, ActionTrigger = 32, ActionBits = 56;
    private const int NotInUse = -1, NoEvent = -1;
    private const int Intx = 0, Msix = 2, Error = 3, Request = 4;
    private readonly Lock _lock = new();
    private readonly IVfioDevice _device;
    private readonly int[] _counts;

    // ERR and REQ: whether an eventfd is bound.
    private readonly bool[] _isBound = new bool[InterruptIndex.PciCount];
    private int _inUse = NotInUse;

    // Of MSI: how many vectors were asked for when it was enabled. No other can be bound before it is disabled.
    private int _allocated;
    private bool _hasUnmaskEvent;

    /// <summary>Asks for the interrupts, which do not change while it is open.</summary>
    internal InterruptCommands(IVfioDevice device)
    {
        _device = device;
        _counts = new int[Math.Min(device.Info.InterruptCount, InterruptIndex.PciCount)];
        for (int i = 0; i < _counts.Length; i++)
            _counts[i] = device.GetInterrupt(new InterruptIndex((uint)i)).Count;
    }

    /// <summary>The kinds that are enabled, or have an eventfd.</summary>
    internal IReadOnlyList<string> InUse
    {
        get
        {
            lock (_lock)
            {
                IEnumerable<int> used = Enumerable.Range(0, _counts.Length).Where(index => index == _inUse || _isBound[index]);
                return [.. used.Select(index => new InterruptIndex((uint)index).ToString())];
            }
        }
    }

    /// <summary>Asks the user to release the device (REQ), where the user has an eventfd for that.</summary>
    internal void RequestRelease()
    {
        lock (_lock)
        {
            if (!_isBound[Request])
                return;
            try
            {
                _device.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Request, InterruptAction.Trigger, 0, 1));
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                // It is gone, and its user will find out.
            }
        }
    }

    /// <summary>VFIO_DEVICE_GET_IRQ_INFO.</summary>
    internal long Describe(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_irq_info info))
            return Answer.Of(Errno.BadAddress);
        if (info.argsz < Blittable.SizeOf<vfio_irq_info>() || info.index >= (uint)_counts.Length)
            return Answer.Of(Errno.InvalidArgument);
        info.count = (uint)_counts[info.index];
        info.flags = (uint)(InterruptFlags.EventFd | info.index switch
        {
            Intx => InterruptFlags.Maskable | InterruptFlags.AutoMasked,

            // A vector of MSI-X can be added while others are in use.
            Msix => InterruptFlags.None,
            _ => InterruptFlags.NoResize,
        });
        return caller.Answer(argument, info);
    }

    /// <summary>VFIO_DEVICE_SET_IRQS.</summary>
    internal long Set(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_irq_set set))
            return Answer.Of(Errno.BadAddress);
        Errno error = Validate(set, out int dataBytes);
        if (error != Errno.None)
            return Answer.Of(error);
        byte[] data = new byte[dataBytes];
        if (dataBytes > 0 && !caller.TryRead(argument + (uint)Blittable.SizeOf<vfio_irq_set>(), data))
            return Answer.Of(Errno.BadAddress);
        lock (_lock)
            return Answer.Of(Set(caller, set, data));
    }

    /// <summary>The checks that are made before any data are read: so no number of the caller's is larger than what the device has.</summary>
    private Errno Validate(in vfio_irq_set set, out int dataBytes)
    {
        dataBytes = 0;
        if (set.argsz < Blittable.SizeOf<vfio_irq_set>() || set.index >= (uint)_counts.Length
            || set.count >= uint.MaxValue - set.start || (set.flags & ~(DataMask | ActionBits)) != 0)
        {
            return Errno.InvalidArgument;
        }

        uint vectors = (uint)_counts[set.index];
        if (set.start >= vectors || set.start + set.count > vectors)
            return Errno.InvalidArgument;
        int each = (set.flags & DataMask) switch
        {
            DataNone => 0,
            DataBool => sizeof(byte),
            DataEventFd => sizeof(int),
            _ => -1,
        };
        if (each < 0 || set.argsz - (uint)Blittable.SizeOf<vfio_irq_set>() < set.count * (uint)each)
            return Errno.InvalidArgument;
        dataBytes = (int)set.count * each;
        return Errno.None;
    }

    private Errno Set(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data) => (set.index, set.flags & ActionBits) switch
    {
        (Intx, ActionMask) => Mask(set, data),
        (Intx, ActionUnmask) => Unmask(caller, set, data),
        (Intx, ActionTrigger) => TriggerPin(caller, set, data),
        (_, ActionTrigger) when set.index < Error => TriggerMessages(caller, set, data),
        (Error or Request, ActionTrigger) => TriggerSingle(caller, set, data),
        _ => Errno.NoSuchOperation,
    };

    private Errno Mask(in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        if (_inUse != Intx || set is not { start: 0, count: 1 })
            return Errno.InvalidArgument;
        if ((set.flags & DataMask) == DataEventFd)
            return Errno.NoSuchOperation;
        Act(set, InterruptAction.Mask, data);
        return Errno.None;
    }

    private Errno Unmask(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        if (_inUse != Intx || set is not { start: 0, count: 1 })
            return Errno.InvalidArgument;
        if ((set.flags & DataMask) != DataEventFd)
        {
            Act(set, InterruptAction.Unmask, data);
            return Errno.None;
        }

        int number = Blittable.Read<int>(data);
        if (number < 0)
        {
            Bind(set.index, InterruptAction.Unmask, 0, [null]);
            _hasUnmaskEvent = false;
            return Errno.None;
        }

        Errno error = TryTake(caller, number, out FileDescriptor? descriptor);
        if (error == Errno.None && _hasUnmaskEvent)
            error = Errno.Busy;
        using (descriptor)
        {
            if (error != Errno.None)
                return error;
            Bind(set.index, InterruptAction.Unmask, 0, [descriptor]);
            _hasUnmaskEvent = true;
            return Errno.None;
        }
    }

    private Errno TriggerPin(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        if (_inUse == Intx && set.count == 0 && (set.flags & DataMask) == DataNone)
        {
            Disable(Intx);
            return Errno.None;
        }

        if (_inUse is not (Intx or NotInUse) || set is not { start: 0, count: 1 })
            return Errno.InvalidArgument;
        if ((set.flags & DataMask) != DataEventFd)
        {
            if (_inUse != Intx)
                return Errno.InvalidArgument;
            Act(set, InterruptAction.Trigger, data);
            return Errno.None;
        }

        Errno error = TryTake(caller, Blittable.Read<int>(data), out FileDescriptor? descriptor);
        using (descriptor)
        {
            if (error != Errno.None)
                return error;
            Bind(Intx, InterruptAction.Trigger, 0, [descriptor]);
            _inUse = Intx;
            return Errno.None;
        }
    }

    private Errno TriggerMessages(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        int index = (int)set.index;
        if (_inUse == index && set.count == 0 && (set.flags & DataMask) == DataNone)
        {
            Disable(index);
            return Errno.None;
        }

        if (_inUse != index && _inUse != NotInUse)
            return Errno.InvalidArgument;
        if ((set.flags & DataMask) == DataEventFd)
            return BindMessages(caller, set, data);
        if (_inUse != index)
            return Errno.InvalidArgument;
        if (set.count > 0)
            Act(set, InterruptAction.Trigger, data);
        return Errno.None;
    }

    /// <summary>Binds a block of vectors. When one cannot be bound, none of the block before it and itself is bound any more.</summary>
    private Errno BindMessages(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        int start = (int)set.start;
        int count = (int)set.count;
        bool isNew = _inUse == NotInUse;

        // The kernel allocates the vectors up to the last one of this block; of none there is no block.
        if (isNew && start + count == 0)
            return Errno.OutOfRange;
        if (count == 0 && !isNew)
            return Errno.None;
        FileDescriptor?[] events = new FileDescriptor?[count];
        try
        {
            Errno error = Errno.None;
            int taken = 0;
            for (; taken < count && error == Errno.None; taken++)
            {
                int number = Blittable.Read<int>(data[(taken * sizeof(int))..]);
                if (number >= 0 && !isNew && set.index != Msix && start + taken >= _allocated)
                    error = Errno.InvalidArgument;
                else
                    error = TryTake(caller, number, out events[taken]);
            }

            if (error == Errno.None)
            {
                // A block of none turns the kind on all the same.
                if (count == 0)
                    Bind(set.index, InterruptAction.Trigger, 0, [null]);
                else
                    Bind(set.index, InterruptAction.Trigger, start, events);
                _allocated = isNew ? start + count : _allocated;
                _inUse = (int)set.index;
            }
            else if (!isNew)
            {
                Bind(set.index, InterruptAction.Trigger, start, new FileDescriptor?[taken]);
            }

            return error;
        }
        finally
        {
            foreach (FileDescriptor? descriptor in events)
                descriptor?.Dispose();
        }
    }

    private Errno TriggerSingle(ICaller caller, in vfio_irq_set set, ReadOnlySpan<byte> data)
    {
        ref bool isBound = ref _isBound[set.index];
        switch (set.flags & DataMask)
        {
            case DataNone when !isBound:
                return Errno.InvalidArgument;
            case DataNone when set.count == 0:
                Bind(set.index, InterruptAction.Trigger, 0, [null]);
                isBound = false;
                return Errno.None;
            case not DataNone when set.count == 0:
                return Errno.InvalidArgument;
            case not DataEventFd:
                if (isBound)
                    Act(set, InterruptAction.Trigger, data);
                return Errno.None;
        }

        int number = Blittable.Read<int>(data);
        if (number < NoEvent)
            return Errno.InvalidArgument;
        Errno error = TryTake(caller, number, out FileDescriptor? descriptor);
        using (descriptor)
        {
            if (error != Errno.None)
                return error;
            Bind(set.index, InterruptAction.Trigger, 0, [descriptor]);
            isBound = descriptor is not null;
            return Errno.None;
        }
    }

    /// <summary>Copies an eventfd of the caller's; none for a negative number.</summary>
    /// <returns>EBADF: it has no such descriptor; EINVAL: it is no eventfd.</returns>
    private static Errno TryTake(ICaller caller, int number, out FileDescriptor? descriptor)
    {
        descriptor = number < 0 ? null : caller.CopyDescriptor(number);
        if (number >= 0 && descriptor is null)
            return Errno.BadDescriptor;
        if (descriptor is null)
            return Errno.None;
        using EventFd? held = EventFd.TryHold(descriptor);
        if (held is not null)
            return Errno.None;
        descriptor.Dispose();
        descriptor = null;
        return Errno.InvalidArgument;
    }

    private void Act(in vfio_irq_set set, InterruptAction action, ReadOnlySpan<byte> data)
    {
        InterruptIndex index = new(set.index);
        _device.SetInterrupts((set.flags & DataMask) == DataBool
            ? InterruptRequest.ForSome(index, action, (int)set.start, data)
            : InterruptRequest.ForAll(index, action, (int)set.start, (int)set.count));
    }

    private void Bind(uint index, InterruptAction action, int start, ReadOnlySpan<FileDescriptor?> events) =>
        _device.SetInterrupts(InterruptRequest.Bind(new InterruptIndex(index), action, start, events));

    private void Disable(int index)
    {
        _device.SetInterrupts(InterruptRequest.Disable(new InterruptIndex((uint)index)));
        _inUse = NotInUse;
        _hasUnmaskEvent = false;
    }
}
