using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of DEVICE_GET_IRQ_INFO and of its reply: 16 bytes.</summary>
/// <remarks>vfio-user, section "VFIO_USER_DEVICE_GET_IRQ_INFO"; <c>struct vfio_irq_info</c>.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct IrqInfoMessage
{
    /// <summary>Request: largest body of the reply in bytes. Reply: bytes needed.</summary>
    public uint ArgSize;

    /// <summary>Reply: how the vectors are signalled and masked.</summary>
    public InterruptFlags Flags;

    /// <summary>Interrupt index.</summary>
    public uint Index;

    /// <summary>Reply: how many vectors.</summary>
    public uint Count;
}
