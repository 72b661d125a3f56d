using System.Diagnostics;
using System.Globalization;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Tests.User;
using Vfio.User;

namespace Vfio.Tests.Fuzz;

/// <summary>Whole sessions against the server: mutations of well-formed ones, and messages made at random.</summary>
/// <remarks>Two seconds each by default; VFIO_FUZZ_SECONDS says how long all of them together, VFIO_FUZZ_SEED starts elsewhere, and the number of
/// sessions is printed then. A failure names the session's own seed.</remarks>
public sealed class SessionFuzzTests
{
    private const int LeastSessions = 20;
    private const int PagesOfFile = 16;
    private const int Lanes = 3;
    private static readonly string? Seconds = Environment.GetEnvironmentVariable("VFIO_FUZZ_SECONDS");

    private static readonly TimeSpan Length =
        TimeSpan.FromSeconds(Seconds is null ? 2 : double.Parse(Seconds, CultureInfo.InvariantCulture) / Lanes);

    private static readonly int FirstSeed =
        int.Parse(Environment.GetEnvironmentVariable("VFIO_FUZZ_SEED") ?? "1", CultureInfo.InvariantCulture);

    private static VfioUserServerOptions Impatient => new()
    {
        MaxDataTransferBytes = 65536,
        HandshakeTimeout = TimeSpan.FromMilliseconds(200),
        MessageTimeout = TimeSpan.FromMilliseconds(20),
        SendTimeout = TimeSpan.FromMilliseconds(200),
        DmaTimeout = TimeSpan.FromMilliseconds(5),
        IdleTimeout = TimeSpan.FromSeconds(5),
    };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_session_over_a_socket_pair_ends_the_server_or_leaves_anything_behind(int lane)
    {
        bool usesThread = false;
        using TestServer server = new(() => new FakeDevice { UsesThread = usesThread }, Impatient);
        Run($"pair-{lane}", lane, (random, files) =>
        {
            usesThread = random.Next(4) == 0;
            using (FuzzPeer peer = new(server.Connect(), files))
                peer.Hold(MakeSession(random), random);
            server.WaitForSessions();
            server.Devices.RemoveAll(device => device.Disposed);
            Assert.Empty(server.Devices);
        });
        byte[] four = [1, 2, 3, 4];
        AskNext(() => server.ConnectClient(), RegionIndex.Bar0, four);
        Assert.Equal(new byte[4], four);
    }

    [Fact]
    public async Task No_session_over_a_socket_ends_the_server_of_a_guarded_model_or_leaves_anything_behind()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        string path = Path.Combine(folder, "s");
        using (GuardedFunction guard = new(new EduFunction()))
        using (VfioUserServer server = new(guard.Open, Impatient with { Path = path }))
        using (CancellationTokenSource stop = new())
        {
            Task running = server.RunAsync(stop.Token);
            Run("socket", 3, (random, files) => HoldAndServeNext(path, random, files));
            await stop.CancelAsync();
            await running;
        }

        Directory.Delete(folder, recursive: true);
    }

    private static void HoldAndServeNext(string path, Random random, FileDescriptor[] files)
    {
        using (FuzzPeer peer = new(UnixSocket.Connect(path), files))
            peer.Hold(MakeSession(random), random);

        // One client at a time: that this one is served shows that the session before it is over.
        byte[] identity = new byte[4];
        AskNext(() => VfioUserClient.Connect(path, new VfioUserClientOptions { Timeout = HangGuard.Timeout }), RegionIndex.Config, identity);
        Assert.Equal([0x34, 0x12, 0xe8, 0x11], identity);
    }

    /// <summary>Reads as a well-behaved client; on a busy machine it may be as slow as those that the server drops, and comes again.</summary>
    private static void AskNext(Func<VfioUserClient> connect, RegionIndex region, byte[] destination)
    {
        Stopwatch clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using VfioUserClient next = connect();
                next.ReadRegion(region, 0, destination);
                return;
            }
            catch (VfioException dropped) when (dropped.Errno is Errno.ConnectionReset && clock.Elapsed < HangGuard.Timeout)
            {
            }
        }
    }

    private static List<FuzzMessage> MakeSession(Random random)
    {
        if (random.Next(3) != 0)
            return SessionMutator.Make(random);
        List<FuzzMessage> session = random.Next(10) == 0 ? [] : [SeedSessions.All[0][0]];
        for (int i = random.Next(1, 60); i > 0; i--)
        {
            byte[] bytes = RandomMessages.Make(random);
            int cut = random.Next(12) == 0 ? random.Next(1, bytes.Length) : 0;
            session.Add(new FuzzMessage(bytes, random.Next(3) == 0 ? random.Next(1, 4) : 0, cut));
        }

        return session;
    }

    private static void Run(string name, int lane, Action<Random, FileDescriptor[]> hold)
    {
        string fileName = $"fuzz-{name}";
        using FileDescriptor file = MemoryFile.Create(fileName, PagesOfFile * 0x1000);
        using EventFd events = EventFd.Create();
        Stopwatch clock = Stopwatch.StartNew();
        int sessions = 0;
        while (clock.Elapsed < Length || sessions < LeastSessions)
        {
            int seed = unchecked((FirstSeed * 1_000_003) + (lane * 10_007) + sessions++);
            try
            {
                hold(new Random(seed), [file, events.Descriptor]);
                Assert.Equal((1, 0), (OpenDescriptors.OfMemoryFile(fileName), OpenDescriptors.MappingsOf(fileName)));
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"session {sessions} of {name}, seed {seed}", failure);
            }
        }

        if (Seconds is not null)
            Console.WriteLine($"fuzz {name}: {sessions} sessions from seed {FirstSeed} in {clock.Elapsed.TotalSeconds:0} s");
    }
}
