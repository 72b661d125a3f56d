using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_SET_IRQS: 20 bytes, then a byte for each vector with <see cref="IrqSetFlags.DataBool"/>.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_SET_IRQS"; <c>struct vfio_irq_set</c>. The reply has no body.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct SetIrqsMessage
{
    /// <summary>Size of the body in bytes, data included, descriptors not.</summary>
    public uint ArgSize;

    /// <summary>One of the data flags and one of the action flags.</summary>
    public IrqSetFlags Flags;

    /// <summary>Interrupt index.</summary>
    public uint Index;

    /// <summary>First vector.</summary>
    public uint Start;

    /// <summary>How many vectors.</summary>
    public uint Count;
}

/// <summary>VFIO_IRQ_SET_* of <c>linux/vfio.h</c>.</summary>
[Flags]
internal enum IrqSetFlags : uint
{
    /// <summary>No flag; never valid.</summary>
    None = 0,

    /// <summary>Every vector of the range.</summary>
    DataNone = 1,

    /// <summary>The vectors whose byte is not 0.</summary>
    DataBool = 2,

    /// <summary>A descriptor for each vector, or no descriptors at all to unbind them.</summary>
    DataEventFd = 4,

    /// <summary>The bits of the data's kind.</summary>
    DataMask = 7,

    /// <summary>Mask.</summary>
    ActionMask = 8,

    /// <summary>Unmask.</summary>
    ActionUnmask = 0x10,

    /// <summary>Fire.</summary>
    ActionTrigger = 0x20,

    /// <summary>The bits of the action.</summary>
    ActionBits = 0x38,
}
