using System.CommandLine;
using System.Diagnostics;
using System.Reflection;
using Vfio.Captures;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Waiting;
using Vfio.Net;

namespace Vfio.Cli.Net;

/// <summary>Writes the frames that a port receives as pcapng.</summary>
internal static class CaptureCommand
{
    private const string StandardOutput = "-";

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("capture", "Write what the port receives as pcapng, for tcpdump and Wireshark.");
        Argument<string> file = new("file") { Description = "The file or pipe to write; - for standard output." };
        Option<bool> promiscuous = new("--promiscuous", "-p") { Description = "Capture all frames of the network, also those to other stations." };
        NumberOption<int> snap = new(
            "--snaplen", NumberRules.Size(1, PcapngInterface.MaxSnapLengthBytes, 96), PcapngInterface.MaxSnapLengthBytes,
            "Bytes that are kept of each frame.");
        NumberOption<long> count = RunLimits.CountOption("End after so many frames.");
        OptionalNumberOption<Duration> seconds = RunLimits.SecondsOption();
        Option<MacAddress?> mac = NetArguments.Mac();
        Option<bool> poll = NetArguments.Poll();
        Option<bool> json = SharedOptions.Json();
        command.Add(file);
        command.Add(promiscuous);
        command.Add(snap);
        command.Add(count);
        command.Add(seconds);
        command.Add(mac);
        command.Add(poll);
        command.Add(json);
        command.SetAction(parsed =>
        {
            string path = parsed.GetValue(file)!;
            if (path == StandardOutput && !Console.IsOutputRedirected)
                throw new MisuseException("A capture is binary: write it to a file or a pipe, not to a terminal.");
            return NetArguments.Drive(parsed.GetValue(address)!, parsed.OpenOptions(timeout), parsed.GetValue(mac), parsed.GetValue(poll), (port, stop) =>
            {
                if (parsed.GetValue(promiscuous))
                    port.IsPromiscuous = true;
                using Stream stream = OpenFile(path);
                PcapngInterface source = new(port.Name, port.Address)
                {
                    Description = "driven by vfio from user space",
                    SnapLengthBytes = parsed.GetValue(snap),
                    IsPromiscuous = port.IsPromiscuous,
                };
                RunLimits limits = new(parsed.GetValue(count), parsed.GetValue(seconds) ?? Duration.Zero, stop);

                // When the capture goes to standard output, the summary goes to standard error.
                TextWriter output = path == StandardOutput ? parsed.InvocationConfiguration.Error : parsed.InvocationConfiguration.Output;
                Run(port, source, stream, limits, output, parsed.GetValue(json));
                return 0;
            });
        });
        return command;
    }

    /// <summary>Captures until a limit is reached or the reader of the output is gone, and prints the summary.</summary>
    internal static void Run(IEthernetPort port, PcapngInterface source, Stream stream, RunLimits limits, TextWriter output, bool json)
    {
        CaptureClock clock = new();
        using PcapngWriter writer = new(stream, source, $"vfio {Assembly.GetExecutingAssembly().GetName().Version?.ToString(3)}");
        FrameRecorder recorder = new(port, writer, clock);
        (ulong first, long start) = (clock.Now, Stopwatch.GetTimestamp());
        Deadline end = limits.Begin();
        bool isReaderGone = false;
        try
        {
            // Wireshark shows the port as soon as it reads its description, even without frames.
            writer.Flush();
            using Progress progress = new("frames captured:", 0);
            while (!limits.IsOver(writer.Frames, end))
            {
                if (recorder.Poll(limits.Count > 0 ? limits.Count - writer.Frames : long.MaxValue) == 0)
                    port.Wait(RunLimits.SleepTime);
                progress.Report(writer.Frames);
            }

            writer.Finish(first, clock.Now, writer.Frames);
        }
        catch (IOException gone) when (gone.HResult == (int)Errno.BrokenPipe)
        {
            isReaderGone = true;
        }

        Print(output, writer, recorder, Stopwatch.GetElapsedTime(start), isReaderGone, json);
    }

    private static Stream OpenFile(string path) => path == StandardOutput
        ? StandardStream.Output
        : UserFile.Create(path, bufferSize: 0);

    private static void Print(TextWriter output, PcapngWriter writer, FrameRecorder recorder, TimeSpan elapsed, bool isReaderGone, bool json)
    {
        if (!json)
        {
            output.WriteLine(
                $"{writer.Frames} frames of {recorder.FrameBytes} bytes captured in {NetArguments.Number(elapsed.TotalSeconds)} s, " +
                $"{writer.WrittenBytes} bytes written{(isReaderGone ? "; the reader is gone" : "")}");
            return;
        }

        Json.Print(output, document =>
        {
            document.WriteStartObject();
            document.WriteNumber("frames", writer.Frames);
            document.WriteNumber("frameBytes", recorder.FrameBytes);
            document.WriteNumber("writtenBytes", writer.WrittenBytes);
            document.WriteNumber("seconds", elapsed.TotalSeconds);
            document.WriteBoolean("readerGone", isReaderGone);
            document.WriteEndObject();
        });
    }
}
