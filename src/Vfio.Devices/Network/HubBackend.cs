namespace Vfio.Devices.Network;

/// <summary>A hub in this process, known by its name: what one port sends, all others at it receive.</summary>
internal sealed class HubBackend : NetBackend
{
    private static readonly Lock Hubs = new();
    private static readonly Dictionary<string, HubBackend[]> Members = new(StringComparer.Ordinal);
    private readonly string _name;
    private bool _isGone;

    /// <summary>Plugs into the hub, which is there while one port is at it.</summary>
    internal HubBackend(string name)
    {
        _name = name;
        lock (Hubs)
            Members[name] = [.. Members.GetValueOrDefault(name, []), this];
    }

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
        HubBackend[]? members;
        lock (Hubs)
            Members.TryGetValue(_name, out members);
        foreach (HubBackend member in members ?? [])
        {
            if (member != this)
                member.Port?.Receive(frame);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        lock (Hubs)
        {
            if (_isGone)
                return;
            _isGone = true;
            HubBackend[] left = [.. Members[_name].Where(member => member != this)];
            if (left.Length == 0)
                Members.Remove(_name);
            else
                Members[_name] = left;
        }
    }
}
