using System.Text.RegularExpressions;
using Vfio.Guard;
using Vfio.Guard.Platform;
using Vfio.Native;

namespace Vfio.Devices.Platform;

/// <summary><c>model:platform?of=edu</c>: another model, assigned as a platform device.</summary>
/// <remarks>Options: <c>of</c>, the model, edu unless given; <c>path</c>, its node of the device tree; <c>compatible</c>, <c>regions</c> and
/// <c>interrupts</c>, names with commas between; and those of the model.</remarks>
internal static partial class PlatformModel
{
    internal const string Name = "platform";
    private const string DefaultModel = "edu";

    // Device tree specification 0.4, section 2.2.1: names of nodes, and a unit address.
    [GeneratedRegex("^(/[A-Za-z0-9,._+-]{1,31}(@[A-Za-z0-9,._+-]+)?)+$")]
    private static partial Regex PathForm { get; }

    [GeneratedRegex("^[A-Za-z0-9,._-]{1,63}$")]
    private static partial Regex NameForm { get; }

    /// <summary>Makes the function that it is made of.</summary>
    /// <param name="options">The options.</param>
    /// <param name="make">Makes a model of a name with the same options.</param>
    /// <exception cref="VfioException">EINVAL: an option is not valid.</exception>
    internal static IPciFunction Create(ModelOptions options, Func<string, IPciFunction> make)
    {
        string model = options.Take("of") ?? DefaultModel;
        if (model == Name)
            throw Wrong("of", "it is no model of its own");
        Describe(options.Take);
        return make(model);
    }

    /// <summary>What the options say of the device tree.</summary>
    /// <exception cref="VfioException">EINVAL: an option is not valid.</exception>
    internal static PlatformDescription Describe(IReadOnlyDictionary<string, string> options) => Describe(options.GetValueOrDefault);

    private static PlatformDescription Describe(Func<string, string?> option)
    {
        string model = option("of") ?? DefaultModel;
        string path = option("path") ?? $"/soc/{model}@10000000";
        if (path.Length > 1024 || !PathForm.IsMatch(path))
            throw Wrong("path", "write a node's path, such as /soc/serial@9000000");
        return new PlatformDescription(
            path, NamesOf("compatible", option) ?? [$"vfio,{model}"], NamesOf("regions", option) ?? [], NamesOf("interrupts", option) ?? []);
    }

    private static string[]? NamesOf(string name, Func<string, string?> option)
    {
        // A name of what something is compatible with has a comma itself: a plus sign stands between these.
        string[]? names = option(name)?.Split(name == "compatible" ? '+' : ',');
        return names is null || Array.TrueForAll(names, NameForm.IsMatch)
            ? names
            : throw Wrong(name, "names have 1 to 63 letters, digits and , . _ -");
    }

    private static VfioException Wrong(string option, string why) => new("open", $"model:{Name}", Errno.InvalidArgument, $"option '{option}': {why}");
}
