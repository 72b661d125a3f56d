using System.Diagnostics;
using System.Globalization;
using Vfio.Native;
using Vfio.Native.Memory;
using static Vfio.Tests.RawClient;

namespace Vfio.Tests.Processes;

/// <summary>Thousands of clients that come and go, most of them badly: the server's process ends where it began.</summary>
public sealed class StressTests
{
    private const int Connects = 10_000, Killed = 1_000, RealKilled = 3;
    private const ulong Mapped = 0x10000, Asked = 0x100000, Page = 4096;
    private const ushort DmaRead = 11, DmaWrite = 12;
    private const uint MessageRead = 4, MessageWrite = 5, ReadMemory = 1;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    // 10,000 sessions that left 400 bytes behind each would show. The heap's own ups and downs are less: its youngest
    // generation is 1 MiB here.
    private const long PageNoise = 4 << 20;

    [Fact]
    public void Connects_and_clients_killed_in_the_midst_of_DMA_leave_nothing()
    {
        // Code that is compiled a second time, when it has run often, is memory as well: here it is compiled once.
        using ServerProcess server = ServerProcess.Under(
            ["env", "DOTNET_GCgen0size=0x100000", "DOTNET_TieredCompilation=0"], "model:bench?busmaster=on");
        using FileDescriptor file = MemoryFile.Create("test-client", 16 * Page);
        Random random = new(7);

        // What is compiled and cached once is there from here on.
        for (int i = 0; i < Connects / 10; i++)
            Connect(server, i);
        for (int i = 0; i < Killed / 10; i++)
            DieInTheMidstOfDma(server, file, random);
        KillRealClient(server);
        Footprint before = Footprint.Of(server);

        for (int i = 0; i < Connects; i++)
            Connect(server, i);
        for (int i = 0; i < Killed; i++)
            DieInTheMidstOfDma(server, file, random);
        for (int i = 0; i < RealKilled; i++)
            KillRealClient(server);

        server.AssertComesBackTo(before.Descriptors);
        Footprint after = before;
        SpinWait.SpinUntil(
            () =>
            {
                // Whatever is due for collection goes with a few sessions more.
                for (int i = 0; i < 100; i++)
                    Connect(server, i);
                server.WaitUntilIdle();
                after = Footprint.Of(server);
                return after.Mappings <= before.Mappings && after.Threads <= before.Threads && after.PrivateBytes <= before.PrivateBytes + PageNoise;
            },
            TestTimeout);
        Assert.InRange(after.Mappings, 0, before.Mappings);
        Assert.InRange(after.Threads, 0, before.Threads);
        Assert.InRange(after.PrivateBytes, 0, before.PrivateBytes + PageNoise);
    }

    /// <summary>One in four leaves before it has agreed on anything, one in four in the middle of that.</summary>
    private static void Connect(ServerProcess server, int number)
    {
        using RawClient client = new(server.SocketPath);
        if (number % 4 == 0)
            return;
        byte[] version = Message(RawClient.Version, VersionBody());
        client.Send(number % 4 == 1 ? version.AsSpan(0, 20) : version);
        if (number % 4 > 1)
            Assert.Equal(0, ErrnoOf(client.Receive()!));
    }

    /// <summary>Has the device move memory that it must ask for, answers a few of its requests, the last one perhaps in part, and goes
    /// without a word.</summary>
    private static void DieInTheMidstOfDma(ServerProcess server, FileDescriptor file, Random random)
    {
        using RawClient client = new(server.SocketPath);
        client.Send(Message(RawClient.Version, VersionBody("""{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":4096}}""")));
        Assert.Equal(0, ErrnoOf(client.Receive()!));
        Assert.Equal(0, client.Ask(DmaMap, MapBody(0, Mapped, 16 * Page), file));
        Assert.Equal(0, client.Ask(DmaMap, MapBody(0, Asked, 16 * Page)));
        uint operation = random.Next(3) switch { 0 => MessageRead, 1 => MessageWrite, _ => ReadMemory };
        bool isMessage = operation != ReadMemory;
        ulong length = isMessage ? 16 * Page : (ulong)random.Next(1, 16) * Page;
        byte[] transfer = [.. Bytes(isMessage ? Asked : Mapped), .. Bytes(length)];
        Assert.Equal(0, client.Ask(RegionWrite, AccessBody(0x18, 0, (uint)transfer.Length, transfer)));
        client.Send(Message(RegionWrite, AccessBody(0x28, 0, 4, Bytes(operation))));
        int answers = isMessage ? random.Next(16) : 0;
        for (int i = 0; i < answers; i++)
        {
            byte[] request = client.Receive()!;
            bool isRead = operation == MessageRead;
            Assert.Equal(isRead ? DmaRead : DmaWrite, BitConverter.ToUInt16(request, 2));
            byte[] body = isRead ? [.. request.AsSpan(HeaderBytes, 16), .. new byte[Page]] : request[HeaderBytes..(HeaderBytes + 16)];
            byte[] answer = Message(BitConverter.ToUInt16(request, 2), body, flags: 1, id: BitConverter.ToUInt16(request, 0));
            client.Send(i == answers - 1 ? answer.AsSpan(0, random.Next(1, answer.Length)) : answer);
        }
    }

    private static void KillRealClient(ServerProcess server)
    {
        server.WaitUntilIdle();
        int mapped = server.MemoryFilesMapped();
        using Process client = VfioCommand.Start("bench", "unix:" + server.SocketPath, "--only", "DMA", "--seconds", "60");
        Assert.True(SpinWait.SpinUntil(() => server.MemoryFilesMapped() > mapped, TestTimeout), "nothing is mapped");
        client.Kill();
        client.WaitForExit();
    }

    /// <summary>What a process holds.</summary>
    private sealed record Footprint(IReadOnlyList<string> Descriptors, int Mappings, int Threads, long PrivateBytes)
    {
        internal static Footprint Of(ServerProcess server)
        {
            server.WaitUntilIdle();
            string proc = $"/proc/{server.Id}";
            string[] kinds = ["Private_Clean:", "Private_Dirty:"];
            long kilobytes = File.ReadLines($"{proc}/smaps_rollup").Where(line => kinds.Any(line.StartsWith))
                .Sum(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));
            return new Footprint(
                server.Descriptors(), server.MemoryFilesMapped(), Directory.GetDirectories($"{proc}/task").Length, kilobytes << 10);
        }
    }
}
