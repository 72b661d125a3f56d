namespace Vfio.Web.Devices;

/// <summary>Config spaces that a user of the page keeps, to compare them.</summary>
/// <remarks>Any thread. The oldest are forgotten.</remarks>
internal sealed class Moments
{
    /// <summary>How many are kept.</summary>
    internal const int Most = 64;

    private readonly Lock _lock = new();
    private Moment[] _kept = [];
    private int _next = 1;

    /// <summary>Those that are kept, the oldest first.</summary>
    internal IReadOnlyList<Moment> Kept
    {
        get
        {
            lock (_lock)
                return _kept;
        }
    }

    /// <summary>Keeps one.</summary>
    internal Moment Keep(string name, byte[] config)
    {
        lock (_lock)
        {
            Moment moment = new(_next++, name, config);
            _kept = [.. _kept.TakeLast(Most - 1), moment];
            return moment;
        }
    }
}

/// <summary>A config space at a moment.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Name">What the page calls it.</param>
/// <param name="Config">Its bytes; not changed.</param>
internal sealed record Moment(int Number, string Name, byte[] Config);
