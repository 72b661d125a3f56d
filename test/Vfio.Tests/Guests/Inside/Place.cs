namespace Vfio.Tests.Guests.Inside;

/// <summary>Where these tests run: in a guest, on functions that Linux assigns, or under <see cref="Vfio.Run.VfioRun"/>, on the same kinds of
/// functions as models. What differs is said where it does.</summary>
internal static class Place
{
    /// <summary>The variable that says so.</summary>
    internal const string Variable = "VFIO_TEST_PLACE";

    /// <summary>Its value under <see cref="Vfio.Run.VfioRun"/>.</summary>
    internal const string Run = "run";

    /// <summary>Whether this is under <see cref="Vfio.Run.VfioRun"/>.</summary>
    internal static bool IsRun => Environment.GetEnvironmentVariable(Variable) == Run;

    /// <summary>Skips a test that is about the kernel, or needs root beside it.</summary>
    internal static void NeedLinux(string why) => Assert.SkipWhen(IsRun, $"only in a guest: {why}");
}
