using System.Text.Json;

namespace Vfio.Tests.Guests;

/// <summary>QEMU's monitor, in its machine protocol (QMP).</summary>
internal sealed class Monitor(GuestLine line)
{
    private readonly List<JsonElement> _events = [];

    /// <summary>Takes the greeting, and leaves capabilities as they are.</summary>
    public void Greet()
    {
        line.Read();
        Execute("qmp_capabilities");
    }

    /// <summary>Executes a command.</summary>
    /// <param name="command">Its name.</param>
    /// <param name="arguments">What JSON is made of.</param>
    public JsonElement Execute(string command, object? arguments = null)
    {
        line.Write(JsonSerializer.Serialize(new { execute = command, arguments = arguments ?? new { } }));
        while (true)
        {
            JsonElement answer = Read();
            if (answer.TryGetProperty("return", out JsonElement result))
                return result;
            Assert.False(answer.TryGetProperty("error", out JsonElement error), $"QEMU refused {command}: {error}");
            _events.Add(answer);
        }
    }

    /// <summary>Waits for an event, and takes all events up to it.</summary>
    public JsonElement WaitForEvent(string name)
    {
        while (true)
        {
            int at = _events.FindIndex(item => item.GetProperty("event").GetString() == name);
            if (at < 0)
            {
                _events.Add(Read());
                continue;
            }

            JsonElement found = _events[at];
            _events.RemoveRange(0, at + 1);
            return found;
        }
    }

    private JsonElement Read() => JsonDocument.Parse(line.Read()).RootElement;
}
