using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>DEVICE_GET_IRQ_INFO and DEVICE_SET_IRQS of one session.</summary>
internal sealed class InterruptCommands
{
    private readonly IVfioDevice _device;
    private readonly InterruptInfo[] _interrupts;
    private readonly FileDescriptor?[] _none;

    /// <summary>Queries the device's interrupts, which do not change while it is open.</summary>
    internal InterruptCommands(IVfioDevice device)
    {
        _device = device;
        _interrupts = new InterruptInfo[device.Info.InterruptCount];
        int most = 0;
        for (int i = 0; i < _interrupts.Length; i++)
        {
            _interrupts[i] = device.GetInterrupt(new InterruptIndex((uint)i));
            most = Math.Max(most, _interrupts[i].Count);
        }

        _none = new FileDescriptor?[most];
    }

    /// <summary>Whether the client ever bound an eventfd; any thread may read it.</summary>
    internal bool HasBound { get; private set; }

    /// <summary>DEVICE_GET_IRQ_INFO.</summary>
    internal Errno Describe(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.DeviceGetIrqInfo(body, _interrupts.Length, out IrqInfoMessage message);
        if (verdict != Errno.None)
            return verdict;
        InterruptInfo info = _interrupts[(int)message.Index];
        reply.Append(new IrqInfoMessage
        {
            ArgSize = (uint)Blittable.SizeOf<IrqInfoMessage>(),
            Flags = info.Flags,
            Index = message.Index,
            Count = (uint)info.Count,
        });
        return Errno.None;
    }

    /// <summary>DEVICE_SET_IRQS.</summary>
    /// <param name="body">The message.</param>
    /// <param name="descriptors">What came with it; shared: the device takes references to those that it needs.</param>
    internal Errno Set(ReadOnlySpan<byte> body, ReadOnlySpan<FileDescriptor?> descriptors)
    {
        Errno verdict = RequestValidator.DeviceSetIrqs(body, descriptors.Length, _interrupts, out SetIrqsMessage message);
        if (verdict != Errno.None)
            return verdict;
        InterruptIndex index = new(message.Index);
        int start = (int)message.Start;
        int count = (int)message.Count;
        InterruptAction action = (message.Flags & IrqSetFlags.ActionBits) switch
        {
            IrqSetFlags.ActionMask => InterruptAction.Mask,
            IrqSetFlags.ActionUnmask => InterruptAction.Unmask,
            _ => InterruptAction.Trigger,
        };
        switch (message.Flags & IrqSetFlags.DataMask)
        {
            case IrqSetFlags.DataNone:
                _device.SetInterrupts(InterruptRequest.ForAll(index, action, start, count));
                break;
            case IrqSetFlags.DataBool:
                _device.SetInterrupts(InterruptRequest.ForSome(index, action, start, body[Blittable.SizeOf<SetIrqsMessage>()..]));
                break;
            default:
                // A request without descriptors unbinds those of the range.
                _device.SetInterrupts(InterruptRequest.Bind(
                    index, action, start, descriptors.Length == 0 ? _none.AsSpan(0, count) : descriptors));
                HasBound |= descriptors.Length > 0;
                break;
        }

        return Errno.None;
    }
}
