namespace Vfio.Tests;

/// <summary>The vfio command compiled to one native file, where <c>./publish</c> made it.</summary>
internal static class NativeFile
{
    /// <summary>Where it is.</summary>
    public static string Path { get; } = System.IO.Path.Combine(Repository.Root, "artifacts", "vfio");

    /// <summary>Whether it was made, and after the command was built for .NET.</summary>
    public static bool IsCurrent { get; } = File.Exists(Path) && File.GetLastWriteTimeUtc(Path) >= File.GetLastWriteTimeUtc(VfioCommand.Path);

    /// <summary>Skips the test where it was not made.</summary>
    public static void Need() => Assert.SkipUnless(File.Exists(Path), "./publish has not made the native file");
}
