using System.Text.Json;
using System.Text.Json.Serialization;

namespace Vfio.Cli.Demo;

/// <summary>The result of one step: what was tried, what came back, and whether that is right.</summary>
/// <param name="Asked">What was done.</param>
/// <param name="Got">What came back.</param>
/// <param name="Ok">Whether it is the expected result.</param>
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
