using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Vfio.Broker.Policies;

/// <summary>What is wrong with a policy, and where.</summary>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Character in the line, from 1.</param>
/// <param name="Reason">What is wrong, and what to write.</param>
internal readonly record struct PolicyFault(int Line, int Column, string Reason);

/// <summary>A JSON value, and where in its text it starts.</summary>
/// <remarks>The serializer's objects do not know where they came from, and a fault is of use only with its place.</remarks>
/// <param name="Kind">Its kind: of an object, an array, a text, a number, true, false or null.</param>
/// <param name="At">Its first byte in the text.</param>
internal sealed record PolicyNode(JsonValueKind Kind, int At)
{
    /// <summary>Deeper values are refused.</summary>
    internal const int MaxDepth = 16;

    /// <summary>The text, or the digits of a number.</summary>
    internal string Text { get; private init; } = "";

    /// <summary>The members of an object, as they stand there; a name may be there twice.</summary>
    internal IReadOnlyList<PolicyMember> Members { get; private init; } = [];

    /// <summary>The items of an array.</summary>
    internal IReadOnlyList<PolicyNode> Items { get; private init; } = [];

    /// <summary>Reads a text with comments and trailing commas.</summary>
    /// <param name="json">The text, in UTF-8.</param>
    /// <param name="fault">What is wrong when the result is null.</param>
    internal static PolicyNode? Parse(ReadOnlySpan<byte> json, out PolicyFault fault)
    {
        fault = default;
        if (!Utf8.IsValid(json))
        {
            fault = new PolicyFault(1, 1, "the file is not text in UTF-8");
            return null;
        }

        Utf8JsonReader reader = new(
            json, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = MaxDepth });
        try
        {
            reader.Read();
            PolicyNode root = Read(ref reader);
            reader.Read();
            return root;
        }
        catch (Exception mistake) when (mistake is JsonException or InvalidOperationException)
        {
            // A text of half a surrogate pair is the other kind.
            fault = mistake is JsonException { LineNumber: long line, BytePositionInLine: long column }
                ? new PolicyFault((int)line + 1, ColumnOf(json, (int)line, (int)column), ReasonOf(mistake.Message))
                : PlaceOf(json, (int)reader.TokenStartIndex, ReasonOf(mistake.Message));
            return null;
        }
    }

    /// <summary>A fault at a byte of the text.</summary>
    internal static PolicyFault PlaceOf(ReadOnlySpan<byte> json, int at, string reason)
    {
        ReadOnlySpan<byte> before = json[..Math.Min(at, json.Length)];
        int start = before.LastIndexOf((byte)'\n') + 1;
        return new PolicyFault(before.Count((byte)'\n') + 1, Encoding.UTF8.GetCharCount(before[start..]) + 1, reason);
    }

    private static int ColumnOf(ReadOnlySpan<byte> json, int line, int bytes)
    {
        for (; line > 0; line--)
            json = json[(json.IndexOf((byte)'\n') + 1)..];
        return Encoding.UTF8.GetCharCount(json[..Math.Min(bytes, json.Length)]) + 1;
    }

    // The reader's text ends with the place, in its own form.
    private static string ReasonOf(string message)
    {
        int place = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (place > 0 ? message[..place] : message).TrimEnd('.');
    }

    private static PolicyNode Read(ref Utf8JsonReader reader)
    {
        int at = (int)reader.TokenStartIndex;
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                List<PolicyMember> members = [];
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    int nameAt = (int)reader.TokenStartIndex;
                    string name = reader.GetString()!;
                    reader.Read();
                    members.Add(new PolicyMember(name, nameAt, Read(ref reader)));
                }

                return new PolicyNode(JsonValueKind.Object, at) { Members = members };
            case JsonTokenType.StartArray:
                List<PolicyNode> items = [];
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                    items.Add(Read(ref reader));
                return new PolicyNode(JsonValueKind.Array, at) { Items = items };
            case JsonTokenType.String:
                return new PolicyNode(JsonValueKind.String, at) { Text = reader.GetString()! };
            case JsonTokenType.Number:
                return new PolicyNode(JsonValueKind.Number, at) { Text = Encoding.UTF8.GetString(reader.ValueSpan) };
            case JsonTokenType.True:
                return new PolicyNode(JsonValueKind.True, at);
            case JsonTokenType.False:
                return new PolicyNode(JsonValueKind.False, at);
            default:
                return new PolicyNode(JsonValueKind.Null, at);
        }
    }
}

/// <summary>A member of an object.</summary>
/// <param name="Name">Its name.</param>
/// <param name="At">The first byte of the name in the text.</param>
/// <param name="Value">Its value.</param>
internal readonly record struct PolicyMember(string Name, int At, PolicyNode Value);
