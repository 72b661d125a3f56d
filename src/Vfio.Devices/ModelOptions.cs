namespace Vfio.Devices;

/// <summary>Options of a model's address, each to be taken once.</summary>
internal sealed class ModelOptions(string model, IReadOnlyDictionary<string, string> options)
{
    private readonly HashSet<string> _taken = [];

    /// <summary>The model's name, for messages.</summary>
    internal string Model => model;

    /// <summary>An option that nobody took; null when there is none.</summary>
    internal string? Unused => options.Keys.FirstOrDefault(name => !_taken.Contains(name));

    /// <summary>An option's value; null when it was not given.</summary>
    internal string? Take(string name)
    {
        _taken.Add(name);
        return options.GetValueOrDefault(name);
    }
}
