using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Vfio.Tests.Broker;

/// <summary>The metrics of a broker as text of Prometheus (exposition format 0.0.4). Other tests have brokers in this process too.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task Leases_and_refusals_are_counted()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using HttpClient http = new();
        Uri place = new($"http://{rig.Broker.MetricsPlace}/metrics");
        using PciDevice first = rig.Open("edu0");
        Assert.Throws<VfioException>(() => rig.Open("edu0"));
        using HttpResponseMessage answer = await http.GetAsync(place, TestContext.Current.CancellationToken);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType!.ToString());
        string[] lines = (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split('\n');
        Assert.Contains("# TYPE vfio_broker_leases gauge", lines);
        Assert.Contains("# TYPE vfio_broker_grants_total counter", lines);
        foreach (string name in new[] { "vfio_broker_leases", "vfio_broker_grants_total", "vfio_broker_refusals_total", "vfio_user_messages_total" })
        {
            string line = Assert.Single(lines, line => line.StartsWith(name + " ", StringComparison.Ordinal));
            Assert.True(long.Parse(line[(name.Length + 1)..], CultureInfo.InvariantCulture) >= 1, line);
        }
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n", "404")]
    [InlineData("POST /metrics HTTP/1.1\r\n\r\n", "405")]
    [InlineData("GET /metrics\r\n\r\n", "400")]
    [InlineData("\r\n\r\n", "400")]
    public async Task What_is_no_request_for_metrics_is_refused(string request, string status)
    {
        using BrokerRig rig = new(BrokerRig.All);
        Assert.StartsWith($"HTTP/1.1 {status} ", await AskAsync(rig.Broker.MetricsPlace!, Encoding.ASCII.GetBytes(request)), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 400 ", await AskAsync(rig.Broker.MetricsPlace!, new byte[4096]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_says_nothing_keeps_nobody_out()
    {
        using BrokerRig rig = new(BrokerRig.All);
        List<Socket> silent = [];
        for (int i = 0; i < 20; i++)
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            silent.Add(socket);
            await socket.ConnectAsync(rig.Broker.MetricsPlace!, TestContext.Current.CancellationToken);
        }

        Assert.StartsWith("HTTP/1.1 200 ", await AskAsync(rig.Broker.MetricsPlace!, "GET /metrics HTTP/1.0\r\n\r\n"u8.ToArray()), StringComparison.Ordinal);
        silent.ForEach(socket => socket.Dispose());
    }

    private static async Task<string> AskAsync(IPEndPoint place, byte[] request)
    {
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(place, TestContext.Current.CancellationToken);
        await socket.SendAsync(request, TestContext.Current.CancellationToken);
        byte[] answer = new byte[64 << 10];
        int count = 0;
        while (await socket.ReceiveAsync(answer.AsMemory(count), TestContext.Current.CancellationToken) is > 0 and int received)
            count += received;
        return Encoding.ASCII.GetString(answer, 0, count);
    }
}
