namespace Vfio;

/// <summary>One kind of interrupt of a device.</summary>
/// <param name="Index">Which kind.</param>
/// <param name="Count">How many vectors; 0 when the device has no interrupt of this kind.</param>
/// <param name="Flags">How they are signalled and masked.</param>
public readonly record struct InterruptInfo(InterruptIndex Index, int Count, InterruptFlags Flags);

/// <summary>VFIO_IRQ_INFO_* of <c>linux/vfio.h</c>.</summary>
[Flags]
public enum InterruptFlags
{
    /// <summary>No flag.</summary>
    None = 0,

    /// <summary>Can be signalled through an eventfd.</summary>
    EventFd = 1,

    /// <summary>Can be masked and unmasked.</summary>
    Maskable = 2,

    /// <summary>Masked by the provider each time it fires, until unmasked.</summary>
    AutoMasked = 4,

    /// <summary>The vectors in use can only be changed by disabling all of them first.</summary>
    NoResize = 8,
}
