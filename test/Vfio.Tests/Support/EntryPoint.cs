using Vfio.Tests.Guests.Inside;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace Vfio.Tests;

/// <summary>Where the process of the tests begins.</summary>
internal static class EntryPoint
{
    public static async Task<int> Main(string[] words) => words switch
    {
        [InsideRunner.Word, .. string[] names] => await InsideRunner.RunAsync(names, Console.Out),
        _ when words.Contains("--server") || words.Contains("--internal-msbuild-node") =>
            await TestPlatformTestFramework.RunAsync(words, SelfRegisteredExtensions.AddSelfRegisteredExtensions),
        _ => await ConsoleRunner.Run(words),
    };
}
