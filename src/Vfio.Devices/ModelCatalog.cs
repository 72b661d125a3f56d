using Vfio.Devices.Bench;
using Vfio.Devices.Edu;
using Vfio.Devices.Igb;
using Vfio.Devices.Nvme;
using Vfio.Devices.Platform;
using Vfio.Guard;

namespace Vfio.Devices;

/// <summary>The models by name: what <c>model:NAME</c> opens.</summary>
public static class ModelCatalog
{
    private const string BusMaster = "busmaster";

    private static readonly Dictionary<string, Func<ModelOptions, IPciFunction>> Models = new(StringComparer.Ordinal)
    {
        ["bench"] = _ => new BenchFunction(),
        ["edu"] = _ => new EduFunction(),
        ["igb"] = IgbModel.Create,
        ["nvme"] = NvmeModel.Create,
        [PlatformModel.Name] = options => PlatformModel.Create(options, model => Find(model)(options)),
    };

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Models.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Makes a model and a guard over it: with bus mastering off, as every function, unless <c>busmaster=on</c> says that
    /// its users write no config space; see <see cref="GuardPolicy.StartAsBusMaster"/>.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">What its address says after the question mark.</param>
    /// <param name="isSuccessor">Whether it is to go on in place of one that another process still has: what only one process can have,
    /// an image for example, is taken when it is first opened.</param>
    /// <exception cref="VfioException">ENOENT: there is no such model; EINVAL: it has no such option, or not with this value; else why it
    /// cannot be made.</exception>
    public static GuardedFunction CreateGuarded(string name, IReadOnlyDictionary<string, string> options, bool isSuccessor = false)
    {
        ArgumentNullException.ThrowIfNull(options);
        string? busMaster = options.GetValueOrDefault(BusMaster);
        if (busMaster is not (null or "on" or "off"))
            throw new VfioException("open", $"model:{name}", Errno.InvalidArgument, $"{BusMaster} is 'on' or 'off', not '{busMaster}'");
        return new(Create(name, options, isSuccessor), policy: new GuardPolicy { StartAsBusMaster = busMaster == "on" });
    }

    /// <summary>Makes a model by itself.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">What its address says after the question mark.</param>
    /// <param name="isSuccessor">As for <see cref="CreateGuarded"/>.</param>
    /// <exception cref="VfioException">ENOENT: there is no such model; EINVAL: it has no such option; else why it cannot be made.</exception>
    public static IPciFunction Create(string name, IReadOnlyDictionary<string, string> options, bool isSuccessor = false)
    {
        ModelOptions given = new(name, options, isSuccessor);
        given.Take(BusMaster);
        IPciFunction function = Find(name)(given);
        if (given.Unused is not { } unknown)
            return function;
        function.Dispose();
        throw new VfioException("open", $"model:{name}", Errno.InvalidArgument, $"it has no option '{unknown}'");
    }

    /// <summary>The registers in BAR0 of a device that this library knows, model or hardware.</summary>
    /// <param name="vendor">Its vendor id.</param>
    /// <param name="device">Its device id.</param>
    /// <param name="classCode">Its class code with programming interface: 24 bits.</param>
    internal static IEnumerable<RegisterName> RegistersOf(ushort vendor, ushort device, uint classCode)
    {
        const uint NvmeClass = 0x010802;
        if (classCode == NvmeClass)
            return NvmeRegisters.Names;
        return (vendor, device) switch
        {
            (0x1234, 0x11e8) => RegisterName.Of(EduRegisters.Map),
            (0x8086, 0x10c9) => RegisterName.Of(IgbRegisters.Map),
            (0x8086, IgbVirtualFunction.Id) => RegisterName.Of(IgbVirtualRegisters.Map),
            _ => [],
        };
    }

    private static Func<ModelOptions, IPciFunction> Find(string name) =>
        Models.TryGetValue(name, out Func<ModelOptions, IPciFunction>? make)
        ? make
        : throw new VfioException("open", $"model:{name}", Errno.NoEntry, $"there are the models {string.Join(", ", Names)}");
}
