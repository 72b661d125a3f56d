using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Vfio.Tests.Processes;

/// <summary>The verbs as a user runs them.</summary>
public sealed class CommandTests
{
    public static TheoryData<string> Verbs =>
        ["demo", "ls", "show", "dump", "peek", "poke", "serve", "check", "bench", "nvme", "bind", "unbind", "vfs", "events",
        "broker", "policy", "lease", "leases", "revoke", "cdi", "completion", "run", "trace", "record", "top"];

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Help_shows_an_example_of_each_verb(string verb)
    {
        VfioCommand.Result help = VfioCommand.Run(verb, "--help");
        Assert.Equal(0, help.ExitCode);
        string examples = help.Output[help.Output.IndexOf("Examples:", StringComparison.Ordinal)..];
        Assert.Contains("vfio", examples);
        Assert.Contains(verb, examples);
    }

    [Fact]
    public void Help_of_the_command_names_every_verb_that_people_use()
    {
        string help = VfioCommand.Run("--help").Output;
        Assert.All(Verbs, verb => Assert.Contains($"  {verb.Data}", help));
        Assert.DoesNotContain("demo-owner", help);
    }

    [Theory]
    [InlineData("'vfio --help'", "nosuch")]
    [InlineData("'nosuch'", "nosuch")]
    [InlineData("'vfio net --help'", "net", "model:edu", "nosuch")]
    [InlineData("'nosuch'", "net", "model:edu", "nosuch")]
    [InlineData("'vfio nvme --help'", "nvme", "model:nvme")]
    public void Words_that_are_wrong_are_named_with_where_help_is(string part, params string[] words)
    {
        VfioCommand.Result result = VfioCommand.Run(words);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(part, Assert.Single(result.Errors.TrimEnd().Split('\n')));
    }

    [Fact]
    public void Without_words_it_says_what_there_is()
    {
        VfioCommand.Result result = VfioCommand.Run();
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("Commands:", result.Output);
    }

    [Theory]
    [InlineData("show", "0000:ff:1f.7")]
    [InlineData("show", "nonsense")]
    [InlineData("show", "model:nonsense")]
    [InlineData("show", "model:edu?nonsense=1")]
    [InlineData("show", "unix:/nowhere/at/all")]
    [InlineData("show", "--from", "/nowhere/at/all")]
    [InlineData("check", "unix:/nowhere/at/all", "--timeout", "0.1")]
    [InlineData("check", "unix:/nowhere/at/all", "--timeout", "0.1", "--server", "exit 3")]
    [InlineData("peek", "model:edu", "bar1", "0")]
    [InlineData("peek", "model:edu", "bar0", "0x100000")]
    [InlineData("poke", "model:edu", "config", "0x3c", "0x100", "-w", "1")]
    [InlineData("serve", "model:edu", "--socket", "/nowhere/at/all")]
    [InlineData("trace", "model:edu", "--socket", "/nowhere/at/all")]
    [InlineData("trace", "model:edu", "--socket", "/tmp/x", "--to", "/nowhere/at/all")]
    [InlineData("trace", "--from", "/etc/passwd")]
    [InlineData("record", "model:edu", "--to", "/nowhere/at/all", "--", "true")]
    [InlineData("nvme", "model:edu", "identify")]
    [InlineData("run", "--device", "unix:/nowhere/at/all", "true")]
    [InlineData("leases", "--broker", "/nowhere/at/all")]
    [InlineData("lease", "edu0", "--broker", "/nowhere/at/all")]
    [InlineData("policy", "check", "/nowhere/at/all")]
    [InlineData("cdi", "--policy", "/nowhere/at/all")]
    [InlineData("broker", "--socket", "s", "--policy", "/nowhere/at/all")]
    public void A_refusal_is_one_line_that_names_the_device(params string[] words)
    {
        VfioCommand.Result refused = VfioCommand.Run(words);
        Assert.Equal(1, refused.ExitCode);
        Assert.Equal("", refused.Output);
        string line = Assert.Single(refused.Errors.TrimEnd('\n').Split('\n'));
        Assert.StartsWith("vfio: ", line);
        string device = words.LastOrDefault(word => word.Contains('/', StringComparison.Ordinal)) ?? words[1];
        Assert.Contains(device.Split('?')[0].Replace("unix:", "", StringComparison.Ordinal), line);
    }

    [Theory]
    [InlineData("peek", "model:edu", "bar9", "0")]
    [InlineData("peek", "model:edu")]
    [InlineData("nonsense")]
    [InlineData("broker")]
    [InlineData("policy")]
    [InlineData("policy", "explain", "root")]
    [InlineData("revoke")]
    [InlineData("serve", "model:edu")]
    [InlineData("bench", "model:edu", "--seconds", "0")]
    [InlineData("events", "--filter", "nonsense")]
    [InlineData("unbind", "0000:ff:1f.7", "--wait", "0")]
    [InlineData("nvme", "model:nvme")]
    [InlineData("run", "--device", "model:edu")]
    [InlineData("run", "--device", "0000:01:00.0=model:edu", "--device", "0000:01:00.0=model:nvme", "--", "true")]
    [InlineData("nvme", "model:nvme", "write", "/dev/null")]
    [InlineData("nvme", "model:nvme", "bench", "--depth", "0")]
    [InlineData("serve", "model:edu", "--socket", "x", "--poll", "--spin", "5")]
    [InlineData("serve", "model:edu", "--socket", "x", "--spin", "-1")]
    [InlineData("show", "model:edu", "--from", "x")]
    public void Wrong_words_are_one_line_and_exit_2(params string[] words)
    {
        VfioCommand.Result misused = VfioCommand.Run(words);
        Assert.Equal(2, misused.ExitCode);
        Assert.StartsWith("vfio: ", Assert.Single(misused.Errors.TrimEnd('\n').Split('\n')));
    }

    [Fact]
    public void Peek_reads_a_register_and_poke_writes_one()
    {
        Assert.Equal("0x010000ed\n", VfioCommand.Run("peek", "model:edu", "bar0", "0").Output);
        Assert.Equal("0x11e81234\n", VfioCommand.Run("peek", "model:edu", "config", "0").Output);
        Assert.Equal("0xedcba987\n", VfioCommand.Run("poke", "model:edu", "bar0", "4", "0x12345678").Output);
        Assert.Equal("0x0b\n", VfioCommand.Run("poke", "model:edu", "config", "0x3c", "0x0b", "-w", "1").Output);
    }

    [Theory]
    [InlineData]
    [InlineData("--poll")]
    [InlineData("--spin", "0")]
    [InlineData("--spin", "2.5")]
    public void A_server_answers_however_it_waits(params string[] words)
    {
        using ServerProcess server = ServerProcess.Of("model:bench", words);
        VfioCommand.Result read = VfioCommand.Run("peek", "unix:" + server.SocketPath, "bar0", "0", "--repeat", "100");
        Assert.StartsWith("0x31425556", read.Output);
    }

    [Fact]
    public void A_served_device_is_shown_as_the_model_is()
    {
        using ServerProcess server = new();
        string served = VfioCommand.Run("show", "unix:" + server.SocketPath).Output;
        Assert.Contains("Capabilities:", served);

        // Only the owner can check whether a device is well-behaved.
        string model = VfioCommand.Run("show", "model:edu").Output;
        int judgement = model.IndexOf("\tWell-behaved: ", StringComparison.Ordinal);
        Assert.Equal(model[..judgement].TrimEnd(), served.TrimEnd());
    }

    [Fact]
    public void A_dump_can_be_shown_again()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, VfioCommand.Run("dump", "model:edu").Output);
            string fromDump = VfioCommand.Run("show", "--from", file).Output;
            Assert.Contains("[40]", fromDump);
            Assert.Contains("MSI", fromDump);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void A_table_can_be_written_and_shown_again()
    {
        string file = Path.GetTempFileName();
        try
        {
            Assert.Equal("", VfioCommand.Run("show", "model:edu", "--table", file).Output);
            string[] lines = VfioCommand.Run("show", "--from", file).Output.Split('\n');
            Assert.Contains("  REGN 0 BAR0: 1 MiB, read, write", lines);
            Assert.Contains("        FELD  2:2  p BusMaster", lines);
            Assert.DoesNotContain(lines, line => line.Length > 80);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void The_map_says_what_each_bit_is()
    {
        string map = VfioCommand.Run("show", "model:edu", "--map").Output;
        // COMMAND, PCI 3.0 section 6.2.2: bit 2 is bus master, passed through; bits 1, 0 and 10 are virtual.
        string command = map.Split('\n').First(line => line.Contains(" Control ", StringComparison.Ordinal) || line.Contains(" Command ", StringComparison.Ordinal));
        Assert.Matches("p", command);
        Assert.Matches("v", command);
    }

    [Fact]
    public void Json_is_one_document()
    {
        foreach (string[] words in new string[][] { ["ls", "--json"], ["show", "model:edu", "--json"], ["peek", "model:edu", "config", "0", "--json"] })
        {
            using JsonDocument document = JsonDocument.Parse(VfioCommand.Run(words).Output);
            Assert.Equal(JsonValueKind.Array, document.RootElement.ValueKind);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(120)]
    public void A_table_fits_a_terminal_or_is_left_to_it_whole(int columns)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "script is not installed");
        ProcessStartInfo start = new("script", ["-qec", $"stty cols {columns}; dotnet {VfioCommand.Path} check --list", "/dev/null"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using Process terminal = Process.Start(start)!;
        string[] lines = terminal.StandardOutput.ReadToEnd().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        terminal.WaitForExit();
        string[] plain = VfioCommand.Run("check", "--list").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(plain.Length, lines.Length);
        string[] texts = [.. lines.Select(line => Regex.Replace(line, @"\x1b(=|>|\[[0-9;?]*[a-zA-Z])", "").TrimEnd())];
        Assert.All(texts.Zip(plain), pair => Assert.StartsWith(pair.First.TrimEnd('…'), pair.Second));
        int longest = plain.Max(line => line.TrimEnd().Length);
        Assert.InRange(texts.Max(text => text.Length), columns == 120 ? 100 : longest, columns == 120 ? 120 : longest);
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void Completion_prints_a_script(string shell)
    {
        Assert.Contains("[suggest:", VfioCommand.Run("completion", shell).Output);
    }

    [Fact]
    public void Completion_completes_verbs() => Assert.Contains("serve", VfioCommand.Run("[suggest:6]", "vfio s").Output);

    [Fact]
    public void Sigterm_ends_a_server_cleanly()
    {
        using ServerProcess server = new();
        server.Terminate();
        Assert.Equal(0, server.ExitCode);
        Assert.False(File.Exists(server.SocketPath));
    }
}
