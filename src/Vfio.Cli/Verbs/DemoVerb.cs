using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Vfio.Cli.Demo;
using Vfio.Cli.Output;
using Vfio.Native;

namespace Vfio.Cli.Verbs;

/// <summary>One process serves an emulated device, and another drives it, step by step.</summary>
internal sealed class DemoVerb() : Verb("demo", "Serve a device from one process, drive it from another, unprivileged one, and show every step.")
{
    private const string Unprivileged = "nobody";

    // Other users may traverse the folder to the socket and the program, and not list it.
    private const UnixFileMode PassThrough =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio demo", "no hardware and no root needed; as root the driver runs as nobody"),
        new("vfio demo --json", "the same as JSON"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<bool> json = SharedOptions.Json();
        command.Add(json);
        command.SetAction(parsed => Play(parsed.InvocationConfiguration.Output, parsed.GetValue(json)));
    }

    private static int Play(TextWriter output, bool json)
    {
        Stopwatch watch = Stopwatch.StartNew();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("vfio-demo-");
        try
        {
            File.SetUnixFileMode(folder.FullName, PassThrough);
            string? user = UserAccount.IsRoot ? Unprivileged : null;
            // The other user may not be able to read where this program is installed.
            OwnProgram program = user is null ? OwnProgram.Here : OwnProgram.Here.CopyTo(folder.CreateSubdirectory("program").FullName);
            string socket = Path.Combine(folder.FullName, "edu.sock");

            string[] arguments = user is null ? [DemoOwnerVerb.Word, socket] : [DemoOwnerVerb.Word, socket, user];
            using DemoProcess owner = DemoProcess.Start(DemoScript.Owner, program, null, arguments);
            List<(Section Section, string Role, StepResult Result)> results = [];
            bool ok = Run(owner, () => DemoProcess.Start(DemoScript.User, program, user, DemoUserVerb.Word, "unix:" + socket), json ? null : new DemoPrinter(output), results);
            if (json)
                Print(output, results, ok);
            else
                new DemoPrinter(output).End(ok, watch.Elapsed);
            return ok ? 0 : CommandLine.Refused;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static bool Run(
        DemoProcess owner, Func<DemoProcess> startUser, DemoPrinter? printer, List<(Section Section, string Role, StepResult Result)> results)
    {
        DemoProcess? user = null;
        try
        {
            foreach (Section section in DemoScript.Sections)
            {
                printer?.Begin(section);
                foreach ((string role, string step) in section.Steps)
                {
                    DemoProcess actor = role == DemoScript.Owner ? owner : user ??= startUser();
                    StepResult result = actor.Do(step);
                    printer?.Print(role, result);
                    results.Add((section, role, result));
                }
            }
        }
        finally
        {
            user?.Dispose();
        }

        return results.TrueForAll(step => step.Result.Ok);
    }

    private static void Print(TextWriter output, List<(Section Section, string Role, StepResult Result)> results, bool ok) => Json.Print(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteBoolean("ok", ok);
        writer.WriteStartArray("steps");
        foreach ((Section section, string role, StepResult result) in results)
        {
            writer.WriteStartObject();
            writer.WriteString("title", section.Title);
            writer.WriteString("role", role);
            writer.WriteString("asked", result.Asked);
            writer.WriteString("got", result.Got);
            writer.WriteBoolean("ok", result.Ok);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
