using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>Server processes that go on in each other's place.</summary>
internal sealed class Servers : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    // Pipes and files are the runtime's own, and come and go; what a handover passes is none of those.
    private static readonly string[] Kinds = ["socket", "anon_inode", "/memfd"];

    private readonly string _address;
    private readonly List<(string[] Descriptors, int Maps)> _holdings = [];
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

            // It has closed what it used to take over a moment after the one before it has ended.
            if (_holdings.Count > 0)
                SpinWait.SpinUntil(() => HoldsNoMore(Held(), _holdings[0]), TestTimeout);
            _holdings.Add(Held());
        }

        end.Cancel();
        Assert.True(working.Wait(TestTimeout), "the driver does not end");
    }

    /// <summary>No server holds more than the first of the successors held: nothing adds up.</summary>
    internal void AssertNothingLeaks() => Assert.All(_holdings, held => Assert.True(
        HoldsNoMore(held, _holdings[0]),
        $"[{string.Join(", ", held.Descriptors)}] and {held.Maps} mappings, at first [{string.Join(", ", _holdings[0].Descriptors)}] and {_holdings[0].Maps}"));

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

    private static bool HoldsNoMore((string[] Descriptors, int Maps) held, (string[] Descriptors, int Maps) first) =>
        held.Maps <= first.Maps && Kinds.All(kind => held.Descriptors.Count(kind.Equals) <= first.Descriptors.Count(kind.Equals));

    private (string[] Descriptors, int Maps) Held() =>
        ([.. _now.Descriptors().Where(descriptor => Kinds.Contains(descriptor))], _now.MemoryFilesMapped());
}
