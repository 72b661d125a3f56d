using System.Text.Json;
using System.Text.Json.Serialization;

namespace Vfio.Cli.Demo;

/// <summary>One thing that was tried: what was asked, what came back, and whether that is what it should be.</summary>
/// <param name="Asked">What was done.</param>
/// <param name="Got">What came back.</param>
/// <param name="Ok">Whether it is what the step says.</param>
internal sealed record StepResult(string Asked, string Got, bool Ok)
{
    /// <summary>One line of JSON.</summary>
    internal string ToLine() => JsonSerializer.Serialize(this, DemoJson.Default.StepResult);

    /// <summary>Reads a line that <see cref="ToLine"/> made.</summary>
    internal static StepResult FromLine(string line) => JsonSerializer.Deserialize(line, DemoJson.Default.StepResult)!;
}

/// <summary>Serializers made at compile time.</summary>
[JsonSerializable(typeof(StepResult))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
internal sealed partial class DemoJson : JsonSerializerContext;
