using System.Diagnostics;
using System.Text.Json;
using System.Xml.Linq;
using Vfio.Conformance;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using static Vfio.Tests.Conformance.ScriptedServer;

namespace Vfio.Tests.Conformance;

/// <summary>What a check found is never lost: servers that are started again, an interrupt, what fails on this side.</summary>
public sealed class LossTests : IDisposable
{
    // What is no control of C0 may stand in JSON as it is.
    private const string Mild = "\u009b2J\u202e\x7f<&'>]]>";
    private const string Foreign = "\e[31m\a" + Mild;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;

    private string ReportPath => Path.Combine(_folder, "report.xml");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_server_that_ends_with_each_client_and_is_started_again_is_checked_to_the_end()
    {
        using RestartedServer server = new(Path.Combine(_folder, "s"));
        ConformanceReport report = ConformanceKit.Run(new ConformanceOptions
        {
            Path = server.Path,
            Timeout = TimeSpan.FromSeconds(1),
            RestartTimeout = TimeSpan.FromMinutes(1),
            Chosen = check => check.Name is "device-info.answers" or "irq-info.index-4g" || check.Name.StartsWith("header.command-", StringComparison.Ordinal),
        });
        string[] lost = [.. report.Results
            .Where(result => result.Outcome.Verdict == Verdict.Violation || result.Outcome.Reason.Contains("gone", StringComparison.Ordinal))
            .Select(result => $"{result.Check.Name}: {result.Outcome.Reason}")];
        Assert.Equal([], lost);
        Assert.InRange(report.Count(Verdict.Pass), 5, int.MaxValue);
        Assert.InRange(server.Starts, report.Count(Verdict.Pass), int.MaxValue);
    }

    [Fact]
    public void What_fails_on_this_side_costs_one_check()
    {
        using ScriptedServer server = new(Right);
        using ServerUnderTest tested = new(new ConformanceOptions { Path = server.Path, Timeout = TimeSpan.FromSeconds(20) });
        Check vanishing = new("descriptors.vanishing", "Security", "A process that is gone is no reason to stop.", trial =>
        {
            using Peer peer = trial.Open();
            return Directory.GetFileSystemEntries("/proc/2147483647/fd").Length > 0 ? Outcome.Pass() : Outcome.Skipped("");
        });
        Outcome outcome = ConformanceKit.Try(tested, null, vanishing).Outcome;
        Assert.Equal(Verdict.Skipped, outcome.Verdict);
        Assert.StartsWith("it could not be tried: ", outcome.Reason);
    }

    [Fact]
    public void A_run_that_is_cancelled_reports_what_it_found_and_what_it_did_not_come_to()
    {
        using CancellationTokenSource cancellation = new();
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Silence : Right(command, body));
        ConformanceReport report = ConformanceKit.Run(
            new ConformanceOptions { Path = server.Path, Timeout = TimeSpan.FromHours(1), Cancellation = cancellation.Token, Chosen = OfResets },
            starting: (check, _, _) =>
            {
                if (check.Group == "reset")
                    cancellation.CancelAfter(1);
            });
        Assert.Equal(["device-info.answers"], report.Results.Select(result => result.Check.Name));
        Assert.Equal(ConformanceKit.Checks.Where(OfResets).Select(check => check.Name).Skip(1), report.Untried.Select(check => check.Name));
        Assert.False(report.Conforms);
    }

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    public async Task A_signal_prints_what_was_found_and_writes_the_report(string signal, int code)
    {
        using ScriptedServer server = new((command, body) => command == 13 ? Answer.Silence : Right(command, body));
        // A shell that starts the tests in its background leaves SIGINT ignored.
        ProcessStartInfo start = new("env", ["--default-signal=INT", "dotnet", VfioCommand.Path, "check", $"unix:{server.Path}",
            "--timeout", "1h", "--junit", ReportPath, "--only", "reset.", "device-info.answers"])
        {
            RedirectStandardOutput = true,
        };
        using Process check = Process.Start(start)!;
        string? first = check.StandardOutput.ReadLine();
        Assert.Equal("pass      device-info.answers", first?.TrimEnd());
        using (Process kill = Process.Start("kill", [$"-{signal}", $"{check.Id}"]))
            kill.WaitForExit();
        Task<string> rest = check.StandardOutput.ReadToEndAsync();
        if (!check.WaitForExit(HangGuard.Timeout))
            check.Kill();
        Assert.Equal(code, check.ExitCode);
        Assert.Matches(@"^1 checks: 1 pass, 0 differ, 0 skipped, 0 violations; interrupted, \d+ not tried\n$", await rest);
        XElement suite = XDocument.Load(ReportPath).Root!.Element("testsuite")!;
        Assert.Equal("device-info.answers", (string?)suite.Element("testcase")!.Attribute("name"));
        Assert.Equal((int)suite.Attribute("tests")! - 1, (int)suite.Attribute("skipped")!);
    }

    [Fact]
    public void A_reader_of_the_output_that_has_enough_loses_no_report()
    {
        using ScriptedServer server = new(Right);
        using Process shell = Process.Start(
            "/bin/bash", ["-c", $"dotnet '{VfioCommand.Path}' check 'unix:{server.Path}' --only header. --junit '{ReportPath}' | head -c 0"])!;
        shell.WaitForExit();
        XElement suite = XDocument.Load(ReportPath).Root!.Element("testsuite")!;
        Assert.Equal(ConformanceKit.Checks.Count(check => check.Name.Contains("header.", StringComparison.Ordinal)), suite.Elements("testcase").Count());
    }

    [Fact]
    public void The_report_is_XML_that_continuous_integration_reads()
    {
        using ScriptedServer server = Hostile(Mild);
        VfioCommand.Result result = VfioCommand.Run("check", $"unix:{server.Path}", "--only", "header.command-1", "feature.probe-1", "--junit", ReportPath);
        Assert.Equal(1, result.ExitCode);
        XElement suite = Assert.Single(XDocument.Load(ReportPath).Root!.Elements("testsuite"));
        XElement[] cases = [.. suite.Elements("testcase")];
        Assert.Equal(
            (cases.Length, 1, 0, cases.Count(one => one.Element("skipped") is not null)),
            ((int)suite.Attribute("tests")!, (int)suite.Attribute("failures")!, (int)suite.Attribute("errors")!, (int)suite.Attribute("skipped")!));
        Assert.All(cases, one => Assert.True((double)one.Attribute("time")! >= 0));
        XElement failed = Assert.Single(cases, one => one.Element("failure") is not null);
        Assert.Equal(("vfio-user.header", "header.command-100"), ((string)failed.Attribute("classname")!, (string)failed.Attribute("name")!));
        Assert.Equal("it was accepted", (string?)failed.Element("failure")!.Attribute("message"));
        Assert.Contains("-> command 100", failed.Element("failure")!.Value);
        Assert.Contains("\\x9b2J\\u202e\\x7f<&'>]]>", failed.Element("failure")!.Value);
        Assert.All(cases.Where(one => one.Element("skipped") is not null), one => Assert.NotEqual("", (string?)one.Element("skipped")!.Attribute("message")));
    }

    [Fact]
    public void What_a_server_says_steers_no_terminal()
    {
        using ScriptedServer server = Hostile(Foreign);
        string[] words = ["check", $"unix:{server.Path}", "--only", "header.command-1"];
        foreach (string[] more in new string[][] { ["--verbose"], ["--json"], [] })
        {
            string text = VfioCommand.Run([.. words, .. more]).Output;
            Assert.DoesNotContain(text, letter => letter is not '\n' and (< ' ' or (>= '\x7f' and <= '\x9f') or '\u202e'));
            Assert.Contains(more is ["--json"] ? "\\u001b[31m" : "\\x1b[31m", text, StringComparison.OrdinalIgnoreCase);
            if (more is ["--json"])
            {
                using JsonDocument document = JsonDocument.Parse(text);
                Assert.Contains(Foreign, document.RootElement.GetProperty("checks")[0].GetProperty("exchange")[1].GetProperty("text").GetString());
            }
        }
    }

    private static bool OfResets(Check check) => check.Group == "reset" || check.Name == "device-info.answers";

    // It says in VERSION what would steer a terminal, and carries a command out that there is none of.
    private static ScriptedServer Hostile(string text) => new((command, body) => command switch
    {
        1 => Answer.Body((ushort)0, (ushort)1, "{\"capabilities\":{},\"x\":\"" + text + "\"}\0"),
        100 => Answer.Body(),
        _ => Right(command, body),
    });

    /// <summary>A server that ends with its client and is started again: the old one still takes a client while it ends, and leaves it
    /// unanswered; then no server listens for a moment.</summary>
    private sealed class RestartedServer : IDisposable
    {
        private readonly Thread _thread;
        private readonly ManualResetEventSlim _end = new();
        private int _starts;

        internal RestartedServer(string path)
        {
            Path = path;
            _thread = new Thread(Run);
            _thread.Start();
        }

        internal string Path { get; }

        internal int Starts => Volatile.Read(ref _starts);

        public void Dispose()
        {
            _end.Set();
            Assert.True(_thread.Join(TimeSpan.FromMinutes(1)));
            _end.Dispose();
        }

        private void Run()
        {
            while (!_end.IsSet)
            {
                using UnixListener listener = UnixListener.Bind(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                Interlocked.Increment(ref _starts);
                while (!_end.IsSet && !Poll.WaitReadable(listener.Descriptor, TimeSpan.FromMilliseconds(20)))
                {
                    // No client came yet.
                }

                if (_end.IsSet)
                    return;
                using UnixSocket client = listener.Accept()!;
                Serve(client);
                _end.Wait(15);
            }
        }

        private void Serve(UnixSocket client)
        {
            using DescriptorQueue descriptors = new();
            while (Fill(client, descriptors, 16) is byte[] header && Fill(client, descriptors, BitConverter.ToInt32(header, 4) - 16) is byte[] body)
                client.Send(Right(BitConverter.ToUInt16(header, 2), body).ToMessage(header), default, default, wait: true, out _);
        }

        private byte[]? Fill(UnixSocket client, DescriptorQueue descriptors, int count)
        {
            byte[] bytes = new byte[Math.Clamp(count, 0, 1 << 20)];
            for (int at = 0; at < bytes.Length;)
            {
                if (_end.IsSet)
                    return null;
                if (!Poll.WaitReadable(client.Descriptor, TimeSpan.FromMilliseconds(20)))
                    continue;
                int received = client.Receive(bytes.AsSpan(at), descriptors, wait: true, out _);
                if (received <= 0)
                    return null;
                at += received;
            }

            return bytes;
        }
    }
}
