using Vfio.Pci.Capabilities;

namespace Vfio.Pci.Decoding;

/// <summary>Decodes config space, in the words of <c>lspci -vvv</c> where that has words.</summary>
internal static class ConfigDecoder
{
    /// <summary>Decodes a function. No content makes it fail.</summary>
    /// <param name="space">64, 256 or 4096 bytes, or fewer; what is not known is left out.</param>
    /// <param name="facts">What else is known of the function.</param>
    public static FunctionDocument Decode(ConfigSpace space, FunctionFacts? facts = null)
    {
        ArgumentNullException.ThrowIfNull(space);
        facts ??= FunctionFacts.None;
        CapabilityList list = CapabilityList.Read(space);
        return new FunctionDocument(
            FunctionTitle.Of(space, facts),
            HeaderText.Lines(space, facts, list),
            RegisterValue.Read(space, 0, HeaderTable.Of(space)),
            [.. list.Items.Select(capability => Decode(space, capability, facts))],
            list.Problems,
            Closing(facts));
    }

    private static CapabilityDocument Decode(ConfigSpace space, Capability capability, FunctionFacts facts)
    {
        CapabilityText text = new(space, capability, facts);
        if (capability.Table?.Describe is { } describe)
        {
            describe(text);
            text.AddUnprinted();
        }
        else if (!text.AddAll() && capability.LengthBytes > 4)
        {
            OpaqueCapability.Describe(text);
        }

        return new CapabilityDocument(
            capability, text.Title, text.Lines, RegisterValue.Read(space, capability.Offset, capability.Registers));
    }

    private static List<string> Closing(FunctionFacts facts)
    {
        List<string> lines = [];
        if (facts.Driver is not null)
            lines.Add($"\tKernel driver in use: {facts.Driver}");
        if (facts.Modules.Count > 0)
            lines.Add($"\tKernel modules: {string.Join(", ", facts.Modules)}");
        return lines;
    }
}
