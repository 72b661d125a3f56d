using System.Diagnostics;
using System.Globalization;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;
using static Vfio.Tests.RawClient;

namespace Vfio.Tests.Processes;

/// <summary>Servers to which more come than they can take.</summary>
public sealed class CrowdTests
{
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("--socket", "No client can be accepted for now")]
    [InlineData("--handover", "No client can be accepted for now")]
    public void A_server_without_descriptors_says_so_once_and_once_that_it_is_over(string where, string words)
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        string path = Path.Combine(folder, "s"), place = Path.Combine(folder, "next");
        using (ServerProcess server = ServerProcess.At([], "model:edu", "--socket", path, "--handover", place))
        {
            // Once well, so that all code that is needed is there.
            using (VfioUserClient client = VfioUserClient.Connect(path))
                client.Reset();
            server.WaitUntilIdle();
            Limit(server.Id, LowestFree(server.Id));
            using (UnixSocket.Connect(where == "--socket" ? path : place))
            {
                Assert.True(SpinWait.SpinUntil(() => Count(server, words) > 0, TestTimeout), "it says nothing");

                // It would have asked again a million times.
                Thread.Sleep(TimeSpan.FromSeconds(2));
                Assert.Equal(1, Count(server, words));
                Assert.True(server.Errors.Count < 10, string.Join('\n', server.Errors));
                Limit(server.Id, 1024);
                Assert.True(SpinWait.SpinUntil(() => Count(server, "can be accepted again") == 1, TestTimeout), "it does not say that it is over");
            }

            using (VfioUserClient client = VfioUserClient.Connect(path))
                client.Reset();
            server.Terminate();
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_client_that_does_not_use_the_device_makes_way_silent_or_not(bool says)
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--idle", "1");
        using RawClient first = new(server.SocketPath);
        first.Negotiate();
        using RawClient second = new(server.SocketPath);
        second.Send(Message(RawClient.Version, VersionBody()));
        while (says && first.Ask(DeviceReset, []) is not null)
            Thread.Sleep(100);
        Assert.NotNull(second.Receive());
    }

    [Fact]
    public void Several_clients_of_a_model_have_one_each()
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--clients", "2", "--client-timeout", "60");
        using RawClient first = new(server.SocketPath), second = new(server.SocketPath);
        first.Negotiate();
        second.Negotiate();
        Assert.Equal(0, first.Ask(RegionWrite, AccessBody(0x3c, 7, 1, 0x55)));
        second.Send(Message(RegionRead, AccessBody(0x3c, 7, 1)));
        Assert.NotEqual(0x55, second.Receive()![^1]);
        server.Terminate();
        Assert.Equal(0, server.ExitCode);
    }

    /// <summary>The number that the next descriptor gets, once the runtime has closed what it opened: with this for a limit there is
    /// none.</summary>
    private static int LowestFree(int process)
    {
        int[] used = [], before;
        do
        {
            before = used;
            Thread.Sleep(200);
            used = [.. Directory.EnumerateFiles($"/proc/{process}/fd").Select(name => int.Parse(Path.GetFileName(name), CultureInfo.InvariantCulture)).Order()];
        }
        while (!used.SequenceEqual(before));
        return Enumerable.Range(0, int.MaxValue).First(number => !used.Contains(number));
    }

    private static int Count(ServerProcess server, string words) => server.Errors.Count(line => line.Contains(words, StringComparison.Ordinal));

    private static void Limit(int process, int descriptors)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "prlimit is not installed");
        using Process set = Process.Start("prlimit", ["--pid", $"{process}", $"--nofile={descriptors}:"]);
        set.WaitForExit();
        Assert.Equal(0, set.ExitCode);
    }
}
