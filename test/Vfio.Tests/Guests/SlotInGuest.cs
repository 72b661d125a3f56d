namespace Vfio.Tests.Guests;

/// <summary>Slots of PCI Express in a guest, with native hot plug, as on hardware: the kernel gets their events.</summary>
internal static class SlotInGuest
{
    /// <summary>QEMU's arguments that leave hotplug to the slots, rather than to ACPI.</summary>
    internal static IReadOnlyList<string> OwnHotplug { get; } = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"];

    /// <summary>A command for the guest's shell that empties a function's slot by surprise removal: without a release request, and with a
    /// presence change to the kernel.</summary>
    /// <remarks>QEMU takes the card when power is switched off in Slot Control, which the kernel does for a card that it has done with;
    /// here it happens behind its back. For that moment the slot does not interrupt, and has power again when it does: the kernel takes
    /// it for empty, not for switched off. Bits 10 and 9:8 are the power's control and indicator, bit 5 lets hotplug interrupt.</remarks>
    internal static string TearOut(string function) =>
        $"port=$(basename $(dirname $(readlink -f /sys/bus/pci/devices/{function}))); chroot /host setpci -s $port "
        + "CAP_EXP+18.w=0000:0020 CAP_EXP+18.w=0700:0700 CAP_EXP+18.w=0100:0700 CAP_EXP+18.w=0020:0020";
}
