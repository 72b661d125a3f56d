using System.Text.Json;

namespace Vfio.Tests.Processes;

/// <summary>The verb <c>bench</c>: rows that make sense, of whatever device.</summary>
public sealed class BenchTests
{
    private static readonly string[] Everywhere = ["read", "write", "pipelined read", "multi write", "config read", "config write", "DMA map", "DMA unmap", "interrupt", "connect"];

    [Fact]
    public void A_row_has_a_time_of_its_own_when_none_is_said()
    {
        VfioCommand.Result bench = VfioCommand.Run("bench", "model:bench", "--only", "read");
        Assert.Equal(0, bench.ExitCode);
        Assert.Contains("read", bench.Output);
        Assert.Equal(2, VfioCommand.Run("bench", "model:bench", "--seconds", "0").ExitCode);
    }

    [Fact]
    public void A_model_is_measured_in_all_but_posted_writes()
    {
        Dictionary<string, JsonElement> rows = Rows("model:bench");
        Assert.All([.. Everywhere, "mapped read", "read of 1 MiB", "write of 1 MiB"], name => AssertSane(rows[name]));
        Assert.Contains("server", rows["posted write"].GetProperty("skipped").GetString());
        Assert.True(rows["read of 1 MiB"].GetProperty("bytesPerSecond").GetDouble() > 1e6);
    }

    [Fact]
    public void A_server_is_measured_in_all_rows()
    {
        using ServerProcess server = ServerProcess.Of("model:bench", []);
        Dictionary<string, JsonElement> rows = Rows("unix:" + server.SocketPath);
        Assert.All([.. Everywhere, "mapped read", "posted write", "read of 1 MiB", "write of 1 MiB"], name => AssertSane(rows[name]));
    }

    [Fact]
    public void How_long_need_not_be_said()
    {
        VfioCommand.Result measured = VfioCommand.Run("bench", "model:bench", "--only", "read");
        Assert.Equal((0, ""), (measured.ExitCode, measured.Errors));
        Assert.NotEqual(0, VfioCommand.Run("bench", "model:bench", "--seconds", "0").ExitCode);
    }

    [Fact]
    public void What_a_device_cannot_do_is_left_out_with_a_reason()
    {
        Dictionary<string, JsonElement> rows = Rows("model:edu");
        Assert.All(Everywhere, name => AssertSane(rows[name]));
        Assert.Contains("cannot be mapped", rows["mapped read"].GetProperty("skipped").GetString());
        Assert.Contains("model:bench", rows["read of 1 MiB"].GetProperty("skipped").GetString());
        string table = VfioCommand.Run("bench", "model:edu", "--seconds", "0.01").Output;
        Assert.StartsWith("OPERATION", table);
        Assert.Contains("read of 1 MiB: left out: ", table);
    }

    [Fact]
    public void Rows_are_picked_by_their_first_word()
    {
        Dictionary<string, JsonElement> rows = Rows("model:bench", "--only", "dma,connect");
        Assert.Equal(["DMA map", "DMA unmap", "connect"], rows.Keys);
    }

    private static Dictionary<string, JsonElement> Rows(string address, params string[] options)
    {
        VfioCommand.Result measured = VfioCommand.Run(["bench", address, "--seconds", "0.02", "--json", .. options]);
        Assert.Equal("", measured.Errors);
        using JsonDocument document = JsonDocument.Parse(measured.Output);
        Assert.Equal(address, document.RootElement.GetProperty("device").GetString());
        return document.RootElement.GetProperty("operations").EnumerateArray()
            .ToDictionary(row => row.GetProperty("name").GetString()!, row => row.Clone());
    }

    private static void AssertSane(JsonElement row)
    {
        Assert.False(row.TryGetProperty("skipped", out JsonElement why), $"{row.GetProperty("name")}: {why}");
        double median = row.GetProperty("p50").GetDouble();
        Assert.InRange(median, 1, 5e9);
        Assert.InRange(row.GetProperty("p99").GetDouble(), median, 60e9);
        Assert.InRange(row.GetProperty("p999").GetDouble(), row.GetProperty("p99").GetDouble(), 60e9);
        Assert.InRange(row.GetProperty("rate").GetDouble(), 0.01, 1e9);
        Assert.True(row.GetProperty("runs").GetInt64() >= 5);
    }
}
