namespace Vfio.Pci.Decoding;

/// <summary>A function's config space decoded: lines for people, registers for programs.</summary>
/// <param name="Title">Address, class and name, as lists show a function on one line.</param>
/// <param name="HeaderLines">The header, and what is known from elsewhere, one tab before each line.</param>
/// <param name="Header">The header's registers.</param>
/// <param name="Capabilities">In the order of their lists.</param>
/// <param name="Problems">What is wrong with the lists of capabilities; one line each.</param>
/// <param name="ClosingLines">Driver and modules, one tab before each line.</param>
internal sealed record FunctionDocument(
    string Title,
    IReadOnlyList<string> HeaderLines,
    IReadOnlyList<RegisterValue> Header,
    IReadOnlyList<CapabilityDocument> Capabilities,
    IReadOnlyList<string> Problems,
    IReadOnlyList<string> ClosingLines)
{
    /// <summary>Every line of text, in the order and words of <c>lspci -vvv</c>.</summary>
    public IEnumerable<string> Lines =>
    [
        Title,
        .. HeaderLines,
        .. Capabilities.SelectMany(capability => capability.Lines.Prepend($"\tCapabilities: {capability.Heading} {capability.Title}")),
        .. Problems.Select(problem => $"\t!!! {problem}"),
        .. ClosingLines,
    ];
}
