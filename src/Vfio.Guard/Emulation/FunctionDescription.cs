using Vfio.Guard.Config;
using Vfio.Pci;

namespace Vfio.Guard;

/// <summary>Ids, class and capabilities of an <see cref="EmulatedFunction"/>; its config space is made from this.</summary>
/// <param name="Name">A name for messages, for example <c>edu</c>.</param>
/// <param name="VendorId">Vendor id.</param>
/// <param name="DeviceId">Device id.</param>
/// <remarks>Capabilities start at 0x40, in this order where present: Power Management, MSI, MSI-X, PCI Express, Advanced
/// Features, then <see cref="Capabilities"/>.</remarks>
public sealed record FunctionDescription(string Name, ushort VendorId, ushort DeviceId)
{
    /// <summary>Class code, 24 bits: base class, sub-class, programming interface. Default: unassigned class (ff0000).</summary>
    public uint ClassCode { get; init; } = 0xff0000;

    /// <summary>Revision id.</summary>
    public byte RevisionId { get; init; }

    /// <summary>Subsystem vendor id.</summary>
    public ushort SubsystemVendorId { get; init; }

    /// <summary>Subsystem id.</summary>
    public ushort SubsystemId { get; init; }

    /// <summary>Interrupt pin: 1 to 4 for INTA to INTD, 0 for none.</summary>
    public byte InterruptPin { get; init; }

    /// <summary>How many MSI vectors it can use: 0 (no MSI), 1, 2, 4, 8, 16 or 32.</summary>
    public int MsiVectors { get; init; }

    /// <summary>Whether its MSI capability has mask and pending bits.</summary>
    public bool MsiHasMasks { get; init; }

    /// <summary>MSI-X; null when it has none.</summary>
    public MsixDescription? Msix { get; init; }

    /// <summary>Power management.</summary>
    public PowerManagementKind PowerManagement { get; init; }

    /// <summary>Whether it is a PCI Express endpoint: it then has 4096 bytes of config space.</summary>
    public bool IsExpress { get; init; }

    /// <summary>Whether it can do a function level reset: by the PCI Express capability when <see cref="IsExpress"/>, else by Advanced
    /// Features.</summary>
    public bool HasFlr { get; init; }

    /// <summary>Whether its owner can reset it by a way that is not PCI's. Default: true, as for every emulated device; false for a model
    /// of hardware that cannot.</summary>
    public bool HasOwnReset { get; init; } = true;

    /// <summary>Its ids when it is a virtual function: its config space then has none, and no memory enable bit (SR-IOV 1.1, section
    /// 3.4.1).</summary>
    public VirtualFunctionIds? VirtualIds { get; init; }

    /// <summary>Further capabilities, standard ones before extended ones.</summary>
    public IReadOnlyList<CapabilityDescription> Capabilities { get; init; } = [];

    /// <summary>Size of config space in bytes.</summary>
    public int ConfigLength => IsExpress ? ConfigSpace.ExtendedLength : ConfigSpace.ConventionalLength;
}
