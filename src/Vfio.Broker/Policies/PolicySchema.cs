namespace Vfio.Broker.Policies;

/// <summary>The JSON schema of policies, for editors and for other programs that write them.</summary>
internal static class PolicySchema
{
    /// <summary>Its text.</summary>
    internal static string Read()
    {
        using Stream stream = typeof(PolicySchema).Assembly.GetManifestResourceStream("policy.schema.json")!;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
