namespace Vfio.Tests.Fuzz.Targets;

/// <summary>Everything that takes untrusted bytes, as functions of those bytes. A target returns, whatever the bytes
/// are; an exception that it does not expect is a find.</summary>
internal static class FuzzTargets
{
    /// <summary>By name.</summary>
    public static IReadOnlyDictionary<string, Action<byte[]>> All { get; } = new SortedDictionary<string, Action<byte[]>>(StringComparer.Ordinal)
    {
        ["broker"] = BrokerTarget.Run,
        ["client"] = ClientTarget.Run,
        ["dump"] = DumpTarget.Run,
        ["handover"] = HandoverTarget.Run,
        ["igb"] = IgbTarget.Run,
        ["interface"] = InterfaceTarget.Run,
        ["json"] = JsonTarget.Run,
        ["migration"] = MigrationTarget.Run,
        ["names"] = NamesTarget.Run,
        ["policy"] = PolicyTarget.Run,
        ["session"] = SessionTarget.Run,
        ["table"] = TableTarget.Run,
        ["trace"] = TraceTarget.Run,
    };
}
