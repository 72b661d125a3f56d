using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Vfio.Cli.Demo;
using Vfio.Cli.Output;
using Vfio.Native;

namespace Vfio.Cli.Verbs;

/// <summary>The main job from end to end, on a device made of software, step by step.</summary>
internal sealed class DemoVerb() : Verb("demo", "Assign a device of one process to another, unprivileged one, and show every step.")
{
    private const string Unprivileged = "nobody";

    // Others may pass through to the socket and the program, and see nothing else.
    private const UnixFileMode PassThrough =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio demo", "no hardware and no root needed; as root the driver runs as nobody"),
        new("vfio demo --json", "the same as data"),
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

            string[] lend = user is null ? [DemoOwnerVerb.Word, socket] : [DemoOwnerVerb.Word, socket, user];
            using DemoProcess owner = DemoProcess.Start(DemoScript.Owner, program, null, lend);
            List<(Section Section, string Role, StepResult Result)> told = [];
            bool ok = Tell(owner, () => DemoProcess.Start(DemoScript.User, program, user, DemoUserVerb.Word, "unix:" + socket), json ? null : new DemoPrinter(output), told);
            if (json)
                Print(output, told, ok);
            else
                new DemoPrinter(output).End(ok, watch.Elapsed);
            return ok ? 0 : CommandLine.Refused;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static bool Tell(
        DemoProcess owner, Func<DemoProcess> startUser, DemoPrinter? printer, List<(Section Section, string Role, StepResult Result)> told)
    {
        DemoProcess? user = null;
        try
        {
            foreach (Section chapter in DemoScript.Sections)
            {
                printer?.Begin(chapter);
                foreach ((string role, string step) in chapter.Steps)
                {
                    DemoProcess actor = role == DemoScript.Owner ? owner : user ??= startUser();
                    StepResult result = actor.Do(step);
                    printer?.Tell(role, result);
                    told.Add((chapter, role, result));
                }
            }
        }
        finally
        {
            user?.Dispose();
        }

        return told.TrueForAll(step => step.Result.Ok);
    }

    private static void Print(TextWriter output, List<(Section Section, string Role, StepResult Result)> told, bool ok) => Json.Print(output, writer =>
    {
        writer.WriteStartObject();
        writer.WriteBoolean("ok", ok);
        writer.WriteStartArray("steps");
        foreach ((Section chapter, string role, StepResult result) in told)
        {
            writer.WriteStartObject();
            writer.WriteString("title", chapter.Title);
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
