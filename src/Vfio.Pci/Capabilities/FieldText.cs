namespace Vfio.Pci.Capabilities;

/// <summary>How values of fields read, where more than one table needs the words.</summary>
internal static class FieldText
{
    internal static string Decimal(uint value) => $"{value}";

    internal static string DeviceSelect(uint code) => code switch
    {
        0 => "fast",
        1 => "medium",
        2 => "slow",
        _ => "??",
    };

    internal static string Payload(uint code) => $"{128u << (int)code}";

    /// <summary>Plus for a set bit, minus for a clear one.</summary>
    internal static char Sign(bool set) => set ? '+' : '-';
}
