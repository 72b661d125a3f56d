using System.Runtime.InteropServices;
using Vfio.Cli;
using Vfio.Cli.Output;
using Vfio.Native;
using Vfio.Native.Files;

StandardStream.FillGaps();
RuntimeFiles.Remove();
using PosixSignalRegistration large = FileSizeSignal.Ignore();
AppDomain.CurrentDomain.UnhandledException += (_, fault) =>
{
    // An exception of a background thread: the runtime would print its stack, and abort.
    Environment.Exit(CommandLine.Report(fault.ExceptionObject as Exception ?? new InvalidOperationException(), StandardStreams.Errors));
};
return await CommandLine.RunAsync(args, StandardStreams.Output, StandardStreams.Errors);
