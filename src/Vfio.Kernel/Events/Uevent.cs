using System.Text;

namespace Vfio.Kernel.Events;

/// <summary>A message of the kernel about a device: <c>ACTION@DEVPATH</c>, then <c>KEY=VALUE</c> strings, each ended by NUL.</summary>
/// <remarks>The kernel's Documentation/ABI/testing/sysfs-uevent and lib/kobject_uevent.c.</remarks>
internal sealed class Uevent
{
    private readonly Dictionary<string, string> _values = [];

    private Uevent(string action) => Action = action;

    /// <summary><c>add</c>, <c>remove</c>, <c>bind</c>, <c>unbind</c>, <c>change</c>, …</summary>
    internal string Action { get; }

    /// <summary>The value of a key; null when the message does not have it.</summary>
    internal string? this[string key] => _values.GetValueOrDefault(key);

    /// <summary>Parses a message.</summary>
    /// <returns>Null for a message of another form, such as udev's own.</returns>
    internal static Uevent? Parse(ReadOnlySpan<byte> message)
    {
        int end = message.IndexOf((byte)0);
        int at = end < 0 ? -1 : message[..end].IndexOf((byte)'@');
        if (at <= 0)
            return null;
        Uevent uevent = new(Encoding.UTF8.GetString(message[..at]));
        for (ReadOnlySpan<byte> rest = message[(end + 1)..]; rest.Length > 0; rest = rest[Math.Min(end + 1, rest.Length)..])
        {
            end = rest.IndexOf((byte)0);
            if (end < 0)
                end = rest.Length;
            int equals = rest[..end].IndexOf((byte)'=');
            if (equals > 0)
                uevent._values[Encoding.UTF8.GetString(rest[..equals])] = Encoding.UTF8.GetString(rest[(equals + 1)..end]);
        }

        return uevent;
    }
}
