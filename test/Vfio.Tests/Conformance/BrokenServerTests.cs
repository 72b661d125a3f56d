using System.Text.Json;
using Vfio.Conformance;
using static Vfio.Tests.Conformance.ScriptedServer;

namespace Vfio.Tests.Conformance;

/// <summary>Servers that break the protocol on purpose: the kit finds it, and waits for none of them for ever.</summary>
public sealed class BrokenServerTests
{

    [Theory]
    [InlineData("device-info.answers", Verdict.Pass)]
    [InlineData("irq-info.index-4g", Verdict.Pass)]
    [InlineData("header.command-100", Verdict.Pass)]
    [InlineData("feature.probe-1", Verdict.Skipped)]
    [InlineData("region-read.wraps", Verdict.Skipped)]
    public void What_is_right_is_no_violation(string check, Verdict expected)
    {
        using ScriptedServer server = new(Right);
        Assert.Equal(expected, Run(server, check).Outcome.Verdict);
    }

    [Fact]
    public void A_server_that_carries_out_a_wrong_command_violates()
    {
        using ScriptedServer server = new((command, body) => command == 100 ? Answer.Body() : Right(command, body));
        CheckResult result = Run(server, "header.command-100");
        Assert.Equal(new Outcome(Verdict.Violation, "it was accepted"), result.Outcome);
        Assert.Equal(
            ["VERSION", "VERSION reply", "command 100", "command 100 reply", "DEVICE_GET_INFO", "DEVICE_GET_INFO reply"],
            result.Exchange.Select(message => message.Text.Split(',')[0]));
    }

    [Fact]
    public void A_server_that_does_not_answer_violates_within_the_timeout()
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Silence : Right(command, body));
        CheckResult result = Run(server, "reset.twice", TimeSpan.FromSeconds(2));
        Assert.Equal(Verdict.Violation, result.Outcome.Verdict);
        Assert.Matches("no reply to [A-Z_]+ within 2 s", result.Outcome.Reason);
    }

    [Fact]
    public void A_server_that_closes_instead_of_answering_violates()
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Close : Right(command, body));
        Assert.Contains("closed the connection instead of replying to DEVICE_RESET", Run(server, "reset.twice").Outcome.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_reply_to_another_id_violates()
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Body() with { IdOffset = 1 } : Right(command, body));
        Assert.Contains("says DEVICE_RESET with id", Run(server, "reset.twice").Outcome.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x20u)]
    [InlineData(0x30u)]
    [InlineData(0x00u)]
    [InlineData(0x10u)]
    public void A_reply_that_says_it_is_a_command_violates(uint flags)
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Body() with { Flags = flags } : Right(command, body));
        CheckResult result = Run(server, "reset.twice");
        Assert.Equal(Verdict.Violation, result.Outcome.Verdict);
        Assert.Matches("the server sent DEVICE_RESET, id [0-9]+.* as a command", result.Outcome.Reason);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]\0")]
    [InlineData("7\0")]
    [InlineData("{\"capabilities\":[]}\0")]
    [InlineData("{\"capabilities\":{}")]
    public void Version_data_of_any_shape_ends_no_check_with_more_than_a_finding(string data)
    {
        using ScriptedServer server = new((command, body) =>
            command == 1 ? Answer.Body((ushort)0, (ushort)1, data) : Right(command, body));
        Assert.InRange(RunAll(server, "version-data.").Count, 10, 100);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void A_VERSION_without_its_numbers_is_a_finding(int bytes)
    {
        using ScriptedServer server = new((command, body) => command == 1 ? Answer.Body(new byte[bytes]) : Right(command, body));
        Assert.Contains(RunAll(server, "version"), result => result.Outcome.Verdict == Verdict.Violation);
    }

    [Fact]
    public void Limits_as_large_as_numbers_get_make_no_check_larger_than_it_is()
    {
        const string Limits = "{\"capabilities\":{\"max_msg_fds\":4294967295,\"max_data_xfer_size\":18446744073709551615,\"max_dma_maps\":18446744073709551615}}\0";
        using ScriptedServer server = new((command, body) => command switch
        {
            1 => Answer.Body((ushort)0, (ushort)1, Limits),
            7 when body.Length >= 16 && BitConverter.ToUInt32(body, 8) < 5 => Answer.Body(16, 1, BitConverter.ToUInt32(body, 8), uint.MaxValue),
            _ => Right(command, body),
        });
        Assert.Contains(RunAll(server, "set-irqs.bind-all"), result => result.Outcome.Verdict == Verdict.Violation);
        Assert.Contains(RunAll(server, "count-above-max"), result => result.Check.Name == "region-write.count-above-max");
    }

    [Fact]
    public void A_refusal_with_a_body_violates()
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Refusal(22, 1, 2, 3) : Right(command, body));
        Assert.Contains("3 bytes beside its header", Run(server, "reset.twice").Outcome.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_capability_that_was_not_proposed_violates()
    {
        using ScriptedServer server = new((command, body) =>
            command == 1 ? Answer.Body((ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":8}}\0") : Right(command, body));
        Assert.Equal(new Outcome(Verdict.Violation, "not proposed: max_msg_fds"), Run(server, "version-data.subset-of-none").Outcome);
    }

    [Fact]
    public void A_server_that_dies_is_a_violation_of_that_check_and_the_rest_is_skipped()
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Die : Right(command, body));
        ConformanceReport report = ConformanceKit.Run(new ConformanceOptions
        {
            Path = server.Path,
            Timeout = TimeSpan.FromSeconds(10),
            Chosen = check => check.Name is "reset.as-promised" or "reset.twice" or "reset.with-body" or "device-info.answers",
        });
        Dictionary<string, Outcome> found = report.Results.ToDictionary(result => result.Check.Name, result => result.Outcome);
        Assert.Equal(Verdict.Pass, found["device-info.answers"].Verdict);
        Assert.Equal(new Outcome(Verdict.Violation, "after that, the server does not take a client any more"), found["reset.as-promised"]);
        Assert.Equal(new Outcome(Verdict.Skipped, "the server is gone since reset.as-promised"), found["reset.twice"]);
        Assert.Equal(1, report.Count(Verdict.Violation));
        Assert.False(report.Conforms);
    }

    [Fact]
    public void A_socket_without_an_accepting_server_times_out()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("vfio-test-").FullName, "s");
        using Vfio.Native.Sockets.UnixListener listener = Vfio.Native.Sockets.UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        // Until the queue is full, clients connect and wait for an answer; then they wait to connect.
        ConformanceReport report = ConformanceKit.Run(new ConformanceOptions
        {
            Path = path,
            Timeout = TimeSpan.FromMilliseconds(20),
            Chosen = check => check.Group == "version",
        });
        Assert.Equal(0, report.Count(Verdict.Pass));
        Assert.False(report.Conforms);
    }

    [Fact]
    public void The_command_ends_with_1_on_a_violation_and_shows_the_bytes()
    {
        using ScriptedServer server = new((command, body) => command == 100 ? Answer.Body() : Right(command, body));
        VfioCommand.Result result = VfioCommand.Run("check", $"unix:{server.Path}", "--only", "header.command-1");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("violation header.command-100", result.Output, StringComparison.Ordinal);
        Assert.Contains("Commands: Every command is answered", result.Output, StringComparison.Ordinal);
        Assert.Contains("-> command 100, id 102: 8 more bytes", result.Output, StringComparison.Ordinal);
        Assert.Contains("660064001800000000000000000000000000000000000000", result.Output, StringComparison.Ordinal);
        Assert.EndsWith("3 checks: 2 pass, 0 differ, 0 skipped, 1 violations\n", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_command_ends_with_0_without_one_and_writes_JSON()
    {
        using ScriptedServer server = new(Right);
        VfioCommand.Result result = VfioCommand.Run("check", $"unix:{server.Path}", "--only", "header.command-1", "--json");
        Assert.Equal(0, result.ExitCode);
        using JsonDocument document = JsonDocument.Parse(result.Output);
        Assert.Equal(3, document.RootElement.GetProperty("pass").GetInt32());
        JsonElement first = document.RootElement.GetProperty("checks")[0];
        Assert.Equal("header.command-14", first.GetProperty("check").GetString());
        Assert.Equal("pass", first.GetProperty("verdict").GetString());
        Assert.Equal("sent", first.GetProperty("exchange")[0].GetProperty("direction").GetString());
        Assert.StartsWith("65000100", first.GetProperty("exchange")[0].GetProperty("bytes").GetString(), StringComparison.Ordinal);
    }

    private static IReadOnlyList<CheckResult> RunAll(ScriptedServer server, string word) => ConformanceKit.Run(new ConformanceOptions
    {
        Path = server.Path,
        Timeout = HangGuard.Timeout,
        Chosen = one => one.Name.Contains(word, StringComparison.Ordinal),
    }).Results;

    private static CheckResult Run(ScriptedServer server, string check, TimeSpan? timeout = null)
    {
        ConformanceReport report = ConformanceKit.Run(
            new ConformanceOptions { Path = server.Path, Timeout = timeout ?? HangGuard.Timeout, Chosen = one => one.Name == check });
        return Assert.Single(report.Results);
    }
}
