using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;

namespace Vfio.Devices;

/// <summary>The models by name: what <c>model:NAME</c> opens.</summary>
public static class ModelCatalog
{
    private static readonly Dictionary<string, Func<ModelOptions, IPciFunction>> Makers = new(StringComparer.Ordinal)
    {
        ["edu"] = _ => new EduFunction(),
        ["nvme"] = NvmeModel.Create,
    };

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Makers.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Makes a model.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">What its address says after the question mark.</param>
    /// <exception cref="VfioException">ENOENT: there is no such model; EINVAL: it has no such option.</exception>
    public static IPciFunction Create(string name, IReadOnlyDictionary<string, string> options)
    {
        if (!Makers.TryGetValue(name, out Func<ModelOptions, IPciFunction>? make))
            throw new VfioException("open", $"model:{name}", Errno.NoEntry, $"there are the models {string.Join(", ", Names)}");
        ModelOptions given = new(name, options);
        IPciFunction function = make(given);
        if (given.Unused is not { } unknown)
            return function;
        function.Dispose();
        throw new VfioException("open", $"model:{name}", Errno.InvalidArgument, $"it has no option '{unknown}'");
    }
}
