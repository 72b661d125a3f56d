namespace Vfio.Guard.Platform;

/// <summary>What the device tree is to say of a model that is assigned as a platform device.</summary>
/// <param name="Path">Its node.</param>
/// <param name="Compatible">What it is compatible with, the most specific first.</param>
/// <param name="RegionNames">Names of its regions, from the first on; regions beyond these are <c>reg1</c> and so on, by their index.</param>
/// <param name="InterruptNames">Names of its interrupts; those beyond these are <c>irq1</c> and so on.</param>
internal sealed record PlatformDescription(
    string Path, IReadOnlyList<string> Compatible, IReadOnlyList<string> RegionNames, IReadOnlyList<string> InterruptNames);
