using Vfio.Conformance;

namespace Vfio.Tests.Conformance;

/// <summary>Every check at the server of this project, in a process of its own.</summary>
public sealed class OwnServerTests
{
    [Theory]
    [InlineData("model:edu")]
    [InlineData("model:bench")]
    public void No_check_finds_a_violation(string device)
    {
        using ServerProcess server = ServerProcess.Of(device);
        IReadOnlyList<string> descriptors = server.Descriptors();
        ConformanceReport report = ConformanceKit.Run(new ConformanceOptions { Path = server.SocketPath, Timeout = HangGuard.Timeout });
        string[] violations = [.. report.Results
            .Where(result => result.Outcome.Verdict == Verdict.Violation)
            .Select(result => $"{result.Check.Name}: {result.Outcome.Reason}")];
        Assert.Equal([], violations);
        Assert.Equal(ConformanceKit.Checks.Count, report.Results.Count);
        Assert.InRange(report.Count(Verdict.Pass), ConformanceKit.Checks.Count * 4 / 5, ConformanceKit.Checks.Count);
        server.AssertComesBackTo(descriptors);
    }
}
