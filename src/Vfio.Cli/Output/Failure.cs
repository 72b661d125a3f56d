using System.ComponentModel;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Cli.Output;

/// <summary>An exception as the command reports it: one line, and an exit code.</summary>
/// <param name="Line">What was being done, why it failed, what to do; null to print nothing.</param>
/// <param name="ExitCode">The code.</param>
internal readonly partial record struct Failure(string? Line, int ExitCode)
{
    /// <summary>The line and the code for any exception at all.</summary>
    internal static Failure Of(Exception exception)
    {
        switch (exception)
        {
            case AggregateException { InnerException: { } first }:
                return Of(first);
            case TypeInitializationException { InnerException: { } cause }:
                return Of(cause);
            case MisuseException:
                return new Failure(exception.Message, CommandLine.Misused);
            case VfioException { Errno: Errno.BrokenPipe, Target: StandardStream.OutputName }:
                // The reader of the output closed it, as head does after its lines.
                return new Failure(null, CommandLine.NobodyReads);
            case VfioException or FormatException or TimeoutException:
                return new Failure(exception.Message, CommandLine.Refused);
            case OperationCanceledException:
                return new Failure(null, CommandLine.Refused);
            case OutOfMemoryException:
                return new Failure("out of memory; ask for less at a time, or free some", CommandLine.Refused);
            case IOException or UnauthorizedAccessException or SocketException or Win32Exception:
                return new Failure(Translate("use", null, exception).Message, CommandLine.Refused);
            default:
                string why = TypeNames().IsMatch(exception.Message) ? "" : $" ({exception.Message.TrimEnd('.')})";
                return new Failure($"this is a fault of vfio itself{why}; please report it, with what {CommandLine.TraceVariable}=1 prints", CommandLine.Faulty);
        }
    }

    /// <summary>A file error of .NET in the form of every other error.</summary>
    /// <param name="operation">What was being done.</param>
    /// <param name="path">The file; null to take it from the exception.</param>
    /// <param name="exception">An <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>.</param>
    internal static VfioException Translate(string operation, string? path, Exception exception)
    {
        if (exception is VfioException known)
            return known;
        string target = path ?? (exception as FileNotFoundException)?.FileName ?? Quoted().Match(exception.Message) switch
        {
            { Success: true } quoted => quoted.Groups[1].Value,
            _ => "a file",
        };
        Errno errno = FileErrors.ErrnoOf(exception);
        if (errno == Errno.AccessDenied && Directory.Exists(target))
            errno = Errno.IsDirectory;
        return new VfioException(operation, target, errno, HintOn(errno));
    }

    private static string? HintOn(Errno errno) => errno switch
    {
        Errno.NoEntry => "check the path",
        Errno.AccessDenied or Errno.OperationNotPermitted => "check who may use it ('ls -l'), or ask as a user who may",
        Errno.IsDirectory => "give a file, not a directory",
        Errno.NotDirectory => "a part of the path is no directory",
        Errno.NoSpace => "free some space, or choose another place",
        Errno.ReadOnlyFileSystem => "choose a place that can be written to",
        Errno.NameTooLong => "shorten the path",
        Errno.TooManyOpenFiles => "raise the limit on open files ('ulimit -n')",
        _ => null,
    };

    // .NET puts the path between quotes.
    [GeneratedRegex(@"'([^']*)'")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\b(System|Vfio|Microsoft|Spectre|Interop)\.\w|Exception\b|\bobject reference\b", RegexOptions.IgnoreCase)]
    private static partial Regex TypeNames();
}
