using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Native.Errors;
using Vfio.User;

namespace Vfio.Cli.Trace;

/// <summary>The options that capture vfio-user messages for Wireshark.</summary>
internal sealed class CaptureArguments
{
    private readonly Option<string?> _file = new("--capture")
    {
        HelpName = "file",
        Description = "Write the messages of all sessions to this file as pcapng, for Wireshark and its dissector vfio-user.lua.",
    };

    private readonly NumberOption<int> _snap = new(
        "--snaplen", NumberRules.Size(16, VfioUserCaptureOptions.MaxSnapLengthBytes, 256), new VfioUserCaptureOptions().SnapLengthBytes,
        "With --capture: bytes that are kept of each message.");

    private readonly Option<bool> _redact = new("--redact-dma") { Description = "With --capture: leave out what memory held, and migration data." };

    /// <summary>Adds all of them to a command.</summary>
    internal void AddTo(Command command)
    {
        command.Add(_file);
        command.Add(_snap);
        command.Add(_redact);
    }

    /// <summary>Begins the capture.</summary>
    /// <param name="parsed">The command.</param>
    /// <param name="name">What is captured.</param>
    /// <returns>Null when none is wanted.</returns>
    /// <exception cref="VfioException">The file cannot be made.</exception>
    /// <exception cref="MisuseException">There are options of a capture, and no file.</exception>
    internal Running? Begin(ParseResult parsed, string name)
    {
        if (parsed.GetValue(_file) is not { } path)
        {
            if (parsed.GetResult(_snap) is { Implicit: false } || parsed.GetValue(_redact))
                throw new MisuseException("--snaplen and --redact-dma are options of --capture FILE.");
            return null;
        }

        return new Running(path, VfioUserCapture.ToFile(path, new VfioUserCaptureOptions
        {
            Name = name,
            SnapLengthBytes = parsed.GetValue(_snap),
            RedactsDma = parsed.GetValue(_redact),
        }));
    }

    /// <summary>A capture that runs; its end, and what is missing, is said on standard error.</summary>
    internal sealed class Running : IDisposable
    {
        private readonly string _path;
        private readonly Task _reporting;

        internal Running(string path, VfioUserCapture capture)
        {
            (_path, Capture) = (path, capture);
            _reporting = ReportAsync();
        }

        /// <summary>The capture.</summary>
        internal VfioUserCapture Capture { get; }

        /// <summary>Ends it.</summary>
        public void Dispose()
        {
            Capture.Dispose();

            // A file that takes nothing keeps the capture from its end; the process does not wait for it.
            if (Capture.Ended.IsCompleted)
            {
                _reporting.GetAwaiter().GetResult();
            }
            else
            {
                StandardStreams.Errors.WriteLine(
                    $"vfio: the capture {_path} was not finished: the file takes nothing; it lacks the last messages, and {Capture.Dropped} of {Capture.Messages} before");
            }
        }

        private async Task ReportAsync()
        {
            await Capture.Ended.ConfigureAwait(false);
            if (Capture.Failure is { } failure)
            {
                CommandLine.Report(
                    new VfioException("writing the capture", _path, FileErrors.ErrnoOf(failure), "the capture ends here, and the device goes on"), StandardStreams.Errors);
            }
            else if (Capture.Dropped > 0)
            {
                StandardStreams.Errors.WriteLine(
                    $"vfio: {Capture.Dropped} of {Capture.Messages} messages are missing in {_path}: they came faster than they could be written; keep less of each with --snaplen");
            }
        }
    }
}
