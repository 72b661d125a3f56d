using Vfio.Native;
using static Vfio.Tests.RawClient;

namespace Vfio.Tests.Processes;

/// <summary>A server process does not collect garbage while it answers.</summary>
public sealed class CollectionTests
{
    private const int Reads = 1_000_000, AtATime = 100;

    [Fact]
    public void A_million_reads_cause_no_garbage_collection_in_the_server()
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--verbose");
        using (RawClient client = new(server.SocketPath))
        {
            client.Negotiate();
            byte[] read = Message(RegionRead, AccessBody(0, 0, 4));
            byte[] many = [.. Enumerable.Repeat(read, AtATime).SelectMany(message => message)];
            for (int i = 0; i < Reads / AtATime; i++)
            {
                client.Send(many);
                client.Skip(AtATime * (HeaderBytes + 16 + 4));
            }
        }

        string? End() => server.Output.Concat(server.Errors).FirstOrDefault(line => line.Contains("the session ended", StringComparison.Ordinal));
        Assert.True(SpinWait.SpinUntil(() => End() is not null, HangGuard.Timeout), "the session does not end");
        Assert.Contains($"after {Reads + 1} messages and 0 garbage collections", End(), StringComparison.Ordinal);
    }
}
