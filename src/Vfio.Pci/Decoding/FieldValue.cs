using Vfio.Pci.Capabilities;

namespace Vfio.Pci.Decoding;

/// <summary>A field and its value.</summary>
/// <param name="Field">The field.</param>
/// <param name="Value">What it held, moved down to bit 0.</param>
internal readonly record struct FieldValue(Field Field, uint Value)
{
    /// <summary>The value in words: <c>+</c> or <c>-</c> for a bit, a unit or meaning where the field has one, else hex.</summary>
    public string Text => RegisterText.TextOf(Field, Value);
}
