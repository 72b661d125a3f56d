namespace Vfio.Devices;

/// <summary>Options of a model's address, each to be taken once.</summary>
/// <param name="model">The model's name.</param>
/// <param name="options">The options.</param>
/// <param name="isSuccessor">Whether it is to go on in place of one that another process still has.</param>
internal sealed class ModelOptions(string model, IReadOnlyDictionary<string, string> options, bool isSuccessor)
{
    private readonly HashSet<string> _taken = [];

    /// <summary>The model's name, for messages.</summary>
    internal string Model => model;

    /// <summary>Whether it is to go on in place of one that another process still has: what only one process can have is taken when
    /// it is first assigned.</summary>
    internal bool IsSuccessor => isSuccessor;

    /// <summary>An option that nobody took; null when there is none.</summary>
    internal string? Unused => options.Keys.FirstOrDefault(name => !_taken.Contains(name));

    /// <summary>An option's value; null when it was not given.</summary>
    internal string? Take(string name)
    {
        _taken.Add(name);
        return options.GetValueOrDefault(name);
    }
}
