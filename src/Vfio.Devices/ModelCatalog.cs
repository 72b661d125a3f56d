using Vfio.Devices.Bench;
using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Guard;

namespace Vfio.Devices;

/// <summary>The models by name: what <c>model:NAME</c> opens.</summary>
public static class ModelCatalog
{
    private static readonly Dictionary<string, Model> Models = new(StringComparer.Ordinal)
    {
        ["bench"] = new(_ => new BenchFunction(), BenchFunction.Policy),
        ["edu"] = new(_ => new EduFunction(), new GuardPolicy()),
        ["nvme"] = new(NvmeModel.Create, new GuardPolicy()),
    };

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Models.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Makes a model and a guard that lends it, by the policy that suits the model.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">What its address says after the question mark.</param>
    /// <param name="isSuccessor">Whether it is to go on in place of one that another process still has: what only one process can have,
    /// an image for example, is taken when it is first lent.</param>
    /// <exception cref="VfioException">ENOENT: there is no such model; EINVAL: it has no such option; else why it cannot be made.</exception>
    public static GuardedFunction Lend(string name, IReadOnlyDictionary<string, string> options, bool isSuccessor = false) =>
        new(Create(name, options, isSuccessor), policy: Find(name).Policy);

    /// <summary>Makes a model by itself.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">What its address says after the question mark.</param>
    /// <param name="isSuccessor">As for <see cref="Lend"/>.</param>
    /// <exception cref="VfioException">ENOENT: there is no such model; EINVAL: it has no such option; else why it cannot be made.</exception>
    public static IPciFunction Create(string name, IReadOnlyDictionary<string, string> options, bool isSuccessor = false)
    {
        ModelOptions given = new(name, options, isSuccessor);
        IPciFunction function = Find(name).Make(given);
        if (given.Unused is not { } unknown)
            return function;
        function.Dispose();
        throw new VfioException("open", $"model:{name}", Errno.InvalidArgument, $"it has no option '{unknown}'");
    }

    private static Model Find(string name) => Models.TryGetValue(name, out Model? model)
        ? model
        : throw new VfioException("open", $"model:{name}", Errno.NoEntry, $"there are the models {string.Join(", ", Names)}");

    /// <summary>How a model is made, and what its lender should decide.</summary>
    private sealed record Model(Func<ModelOptions, IPciFunction> Make, GuardPolicy Policy);
}
