using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.Processes;

/// <summary>Every verb that opens an address, at a server that takes connections and says nothing: it ends with one line, and with 1.</summary>
public sealed class SilentServerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-silent-").FullName;
    private readonly string _path;
    private readonly UnixListener _listener;

    public SilentServerTests()
    {
        _path = Path.Combine(_folder, "s");
        _listener = UnixListener.Bind(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("show", "ADDRESS")]
    [InlineData("dump", "ADDRESS")]
    [InlineData("peek", "ADDRESS", "bar0", "0")]
    [InlineData("poke", "ADDRESS", "bar0", "0", "1")]
    [InlineData("bench", "ADDRESS")]
    [InlineData("nvme", "ADDRESS", "identify")]
    [InlineData("nvme", "ADDRESS", "read", "--count", "512")]
    [InlineData("nvme", "ADDRESS", "bench")]
    [InlineData("net", "ADDRESS", "echo", "--address", "192.0.2.7/24")]
    [InlineData("net", "ADDRESS", "capture", "/dev/null")]
    public void A_verb_gives_up_after_its_timeout_and_says_why(params string[] words)
    {
        // By the option, and by the address, in either place.
        AssertGivesUp([.. words.Select(word => word == "ADDRESS" ? $"unix:{_path}" : word), "--timeout", "100ms"]);
        AssertGivesUp([.. words.Select(word => word == "ADDRESS" ? $"unix:{_path}?timeout=100ms" : word)]);
    }

    [Fact]
    public void Ping_has_a_timeout_of_its_own_and_takes_this_one_before_its_word() => AssertGivesUp(
        ["net", $"unix:{_path}", "--timeout", "100ms", "ping", "192.0.2.1", "--address", "192.0.2.7/24", "--timeout", "1000"]);

    [Fact]
    public void Events_gives_up_what_it_was_to_open() => AssertGivesUp(["events", "--open", $"unix:{_path}", "--timeout", "100ms"]);

    [Fact]
    public void The_address_goes_before_the_option() =>
        AssertGivesUp(["show", $"unix:{_path}?timeout=100ms", "--timeout", "infinite"]);

    [Theory]
    [InlineData("0")]
    [InlineData("-1s")]
    [InlineData("2d")]
    [InlineData("soon")]
    public void A_timeout_that_is_none_is_named(string timeout)
    {
        VfioCommand.Result result = VfioCommand.Run("show", $"unix:{_path}", "--timeout", timeout);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--timeout", Assert.Single(result.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    private static void AssertGivesUp(string[] words)
    {
        VfioCommand.Result result = VfioCommand.Run(words);
        Assert.Equal(1, result.ExitCode);
        string line = Assert.Single(result.Errors.TrimEnd('\n').Split('\n'), one => one.StartsWith("vfio: ", StringComparison.Ordinal));
        Assert.Contains("errno 110", line, StringComparison.Ordinal);
        Assert.Matches("busy with (another client|others)", line);
    }
}
