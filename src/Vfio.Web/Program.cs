using System.Runtime.InteropServices;
using Vfio.Cli;
using Vfio.Cli.Output;
using Vfio.Cli.Side;
using Vfio.Cli.Verbs;
using Vfio.Native.Files;
using Vfio.Web.Serving;

namespace Vfio.Web;

/// <summary>The command's verb <c>web</c>, in a program of its own.</summary>
internal static class WebProgram
{
    private static async Task<int> Main(string[] words)
    {
        StandardStream.FillGaps();
        RuntimeFiles.Remove();
        using PosixSignalRegistration large = FileSizeSignal.Ignore();
        AppDomain.CurrentDomain.UnhandledException += (_, fault) =>
        {
            Exception exception = fault.ExceptionObject as Exception ?? new InvalidOperationException();
            Environment.Exit(CommandLine.Report(exception, StandardStreams.Errors));
        };
        SideVerb.Run = (parsed, verb) => WebService.RunAsync(((WebVerb)verb).RequestOf(parsed), StandardStreams.Output);
        return await CommandLine.RunAsync([SideProgram.Web.Verb, .. words], StandardStreams.Output, StandardStreams.Errors);
    }
}
