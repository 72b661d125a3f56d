using System.Diagnostics;
using System.Globalization;
using Vfio.Native;

namespace Vfio.Tests.Processes;

/// <summary>How many system calls a 4-byte read over the socket costs, as strace counts them on each side.</summary>
public sealed class SystemCallTests
{
    private const int Few = 1000, Many = 3000;

    // On a busy machine what is waited for has often come already: fewer calls are as good.
    private const double MoreThanNone = 0.1;
    private const string RoundsVariable = "VFIO_TEST_ROUNDS";

    [Fact]
    public void A_read_is_at_most_two_system_calls_on_the_client()
    {
        SkipWithoutStrace();
        using ServerProcess server = new();
        Assert.InRange(CallsPerRead(reads => CountClient(server, reads)), MoreThanNone, 2.05);
    }

    [Fact]
    public void A_read_is_at_most_two_system_calls_on_the_server()
    {
        SkipWithoutStrace();
        Assert.InRange(CallsPerRead(CountServer), MoreThanNone, 2.05);
    }

    [Fact]
    public void A_sleep_until_an_interrupt_is_at_most_two_system_calls()
    {
        SkipWithoutStrace();

        // Two threads that wake each other in turn: two sleeps and two signals a round.
        Assert.InRange(CallsPerRead(CountRounds), MoreThanNone, 6.1);
    }

    [Fact(Explicit = true)]
    public void Two_threads_wake_each_other_in_turn()
    {
        int rounds = Number(Environment.GetEnvironmentVariable(RoundsVariable)!);
        using EventFd ping = EventFd.Create(), pong = EventFd.Create();
        Thread other = new(() =>
        {
            for (int i = 0; i < rounds; i++)
            {
                Assert.True(ping.Wait(HangGuard.Timeout));
                pong.Signal();
            }
        });
        other.Start();
        for (int i = 0; i < rounds; i++)
        {
            ping.Signal();
            Assert.True(pong.Wait(Timeout.InfiniteTimeSpan));
        }

        other.Join();
    }

    private static int CountRounds(int rounds)
    {
        string summary = Path.GetTempFileName();
        try
        {
            Run("strace", ["-f", "-c", "-E", $"{RoundsVariable}={rounds}", "-o", summary, Environment.ProcessPath!, "-explicit", "only",
                "-method", $"{typeof(SystemCallTests).FullName}.{nameof(Two_threads_wake_each_other_in_turn)}"]);
            return EventCalls(summary);
        }
        finally
        {
            File.Delete(summary);
        }
    }

    // What start-up and shutdown cost is the same in both runs and falls out of the difference.
    private static double CallsPerRead(Func<int, int> count) => (count(Many) - count(Few)) / (double)(Many - Few);

    private static int CountClient(ServerProcess server, int reads)
    {
        string summary = Path.GetTempFileName();
        try
        {
            Run("strace", ["-f", "-c", "-o", summary, .. PeekCommand(server.SocketPath, reads)]);
            return SocketCalls(summary);
        }
        finally
        {
            File.Delete(summary);
        }
    }

    private static int CountServer(int reads)
    {
        string summary = Path.GetTempFileName();
        try
        {
            using (ServerProcess server = ServerProcess.Under(["strace", "-f", "-c", "-o", summary]))
            {
                Run("dotnet", PeekCommand(server.SocketPath, reads)[1..]);
                server.WaitUntilIdle();
                server.Terminate();
            }

            return SocketCalls(summary);
        }
        finally
        {
            File.Delete(summary);
        }
    }

    private static string[] PeekCommand(string socket, int reads) =>
        ["dotnet", VfioCommand.Path, "peek", "unix:" + socket, "config", "0", "--width", "4", "--repeat", reads.ToString(CultureInfo.InvariantCulture)];

    // Lines of strace -c: % time, seconds, usecs/call, calls, [errors,] syscall. Calls that failed are left out: a side may look for
    // bytes for a while before it sleeps, and that takes as many calls as there is time.
    private static int SocketCalls(string summary) => File.ReadLines(summary)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(words => words.Length >= 5 && words[^1] is "recvmsg" or "sendmsg" or "recvfrom" or "sendto" or "read" or "write" or "poll" or "ppoll"
            or "epoll_wait" or "futex")
        .Sum(words => Number(words[3]) - (words.Length > 5 ? Number(words[4]) : 0));

    /// <summary>Calls of those that eventfds take, also those that failed.</summary>
    private static int EventCalls(string summary) => File.ReadLines(summary)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(words => words.Length >= 5 && words[^1] is "read" or "preadv2" or "write" or "poll" or "ppoll")
        .Sum(words => Number(words[3]));

    private static int Number(string word) => int.Parse(word, CultureInfo.InvariantCulture);

    private static void Run(string program, string[] words)
    {
        ProcessStartInfo start = new(program, words) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    private static void SkipWithoutStrace() =>
        Assert.SkipUnless(Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "strace"))),
            "strace is not installed");
}
