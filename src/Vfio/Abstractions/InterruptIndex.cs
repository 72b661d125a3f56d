namespace Vfio;

/// <summary>Number of a kind of interrupt of a device.</summary>
/// <param name="Value">The number, as VFIO_PCI_*_IRQ_INDEX of <c>linux/vfio.h</c> for PCI functions.</param>
public readonly record struct InterruptIndex(uint Value)
{
    /// <summary>How many kinds every PCI function has, the absent ones with count 0.</summary>
    public const int PciCount = 5;

    /// <summary>The interrupt pin, level-triggered; masked by the provider when it fires.</summary>
    public static readonly InterruptIndex Intx = new(0);

    /// <summary>Message signalled interrupts.</summary>
    public static readonly InterruptIndex Msi = new(1);

    /// <summary>Message signalled interrupts with a table (MSI-X).</summary>
    public static readonly InterruptIndex Msix = new(2);

    /// <summary>The device met an error that it could not correct (ERR).</summary>
    public static readonly InterruptIndex Error = new(3);

    /// <summary>The provider requests the release of the device (REQ).</summary>
    public static readonly InterruptIndex Request = new(4);

    /// <summary><c>INTx</c>, <c>MSI</c>, <c>MSI-X</c>, <c>ERR</c>, <c>REQ</c> or <c>IRQ index 5</c>.</summary>
    public override string ToString() => Value switch
    {
        0 => "INTx",
        1 => "MSI",
        2 => "MSI-X",
        3 => "ERR",
        4 => "REQ",
        _ => $"IRQ index {Value}",
    };
}
