using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>Server processes that go on in each other's place.</summary>
internal sealed class Servers : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _address;
    private readonly List<(IReadOnlyList<string> Descriptors, int Maps)> _holdings = [];
    private ServerProcess _now;

    internal Servers(string folder, string address)
    {
        _address = address;
        SocketPath = Path.Combine(folder, "s");
        Place = Path.Combine(folder, "next");
        _now = ServerProcess.At([], address, "--socket", SocketPath, "--handover", Place);
    }

    internal string SocketPath { get; }

    /// <summary>Where a successor asks.</summary>
    internal string Place { get; }

    /// <summary>Waits until the server ends by itself.</summary>
    internal void WaitForEnd() => _now.WaitForExit();

    /// <summary>Replaces the server while a driver works, and then lets the driver finish.</summary>
    /// <param name="work">Works until it is cancelled, and at least once.</param>
    /// <param name="times">How often.</param>
    internal void ReplaceDuring(Action<CancellationToken> work, int times)
    {
        using CancellationTokenSource end = new();
        Task working = Task.Factory.StartNew(() => work(end.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        for (int i = 0; i < times && !working.IsCompleted; i++)
        {
            ServerProcess next = ServerProcess.At([], _address, "--take-over", Place, "--handover", Place);
            _now.WaitForExit();
            Assert.Equal(0, _now.ExitCode);
            _now.Dispose();
            _now = next;
            _holdings.Add((Holdings(), _now.MemoryFilesMapped()));
        }

        end.Cancel();
        Assert.True(working.Wait(TestTimeout), "the driver does not end");
    }

    /// <summary>Every server holds what the first of the successors held: nothing adds up.</summary>
    internal void AssertNothingLeaks() => Assert.All(_holdings, holding =>
    {
        Assert.Equal(_holdings[0].Descriptors, holding.Descriptors);
        Assert.Equal(_holdings[0].Maps, holding.Maps);
    });

    public void Dispose()
    {
        if (_now.IsAlive)
        {
            _now.Terminate();
            Assert.False(File.Exists(SocketPath));
            Assert.False(File.Exists(Place));
        }

        _now.Dispose();
    }

    private string[] Holdings()
    {
        // Pipes and files are the runtime's own, and come and go; what a handover passes is none of those.
        string[] kinds = ["socket", "anon_inode", "/memfd"];
        return [.. _now.Descriptors().Where(descriptor => kinds.Contains(descriptor))];
    }
}
