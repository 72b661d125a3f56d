using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Broker.Audit;

/// <summary>The audit: a line of JSON for each decision and each end of a lease.</summary>
/// <remarks>Any thread may write. Each line is one write to a file that is appended to, so that lines of two brokers do not mix.</remarks>
internal sealed class AuditLog : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly string? _path;
    private Stream _stream;

    private AuditLog(Stream stream, string? path = null) => (_stream, _path) = (stream, path);

    /// <summary>Whether the last line could not be written.</summary>
    internal bool HasFailed { get; private set; }

    /// <summary>The audit on standard error, which the service manager writes to its journal.</summary>
    internal static AuditLog ToStandardError() => new(StandardStream.Error);

    /// <summary>The audit on a stream.</summary>
    internal static AuditLog To(Stream stream) => new(stream);

    /// <summary>The audit in a file, which is made with mode 0640 where it is missing.</summary>
    /// <exception cref="VfioException">It cannot be opened, or is no file.</exception>
    internal static AuditLog ToFile(string path) => new(Open(path), path);

    /// <summary>Opens the file anew: its name may be another file's by now, when it was rotated.</summary>
    /// <exception cref="VfioException">It cannot be opened; lines go to where they went before.</exception>
    internal void Reopen()
    {
        if (_path is null)
            return;
        Stream stream = Open(_path);
        lock (_lock)
            (stream, _stream) = (_stream, stream);
        stream.Dispose();
    }

    private static FileStream Open(string path)
    {
        try
        {
            FileStream stream = new(path, new FileStreamOptions
            {
                Mode = FileMode.Append,
                Access = FileAccess.Write,
                Share = FileShare.ReadWrite | FileShare.Delete,
                BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead,
            });
            if (FileStatus.Of((int)stream.SafeFileHandle.DangerousGetHandle()).Kind is FileKind.Regular or FileKind.CharacterDevice)
            {
                AppendOnly.Set(stream.SafeFileHandle, path);
                return stream;
            }

            stream.Dispose();
            throw new VfioException("opening the audit", path, Errno.InvalidArgument, "it is no file");
        }
        catch (Exception refusal) when (refusal is (IOException or UnauthorizedAccessException or ArgumentException) and not VfioException)
        {
            throw new VfioException("opening the audit", path, FileErrors.ErrnoOf(refusal), "check the path, and who may write there");
        }
    }

    /// <summary>Writes a line.</summary>
    /// <param name="record">What happened.</param>
    /// <returns>False when it could not be written: what has to be on record must not happen then.</returns>
    internal bool TryWrite(in AuditRecord record)
    {
        lock (_lock)
        {
            _bytes.ResetWrittenCount();
            using (Utf8JsonWriter json = new(_bytes))
                Write(json, record);
            _bytes.Write("\n"u8);
            try
            {
                _stream.Write(_bytes.WrittenSpan);
                HasFailed = false;
                return true;
            }
            catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or VfioException or ObjectDisposedException)
            {
                HasFailed = true;
                return false;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stream != StandardStream.Error)
            _stream.Dispose();
    }

    // The writer escapes what is not ASCII, and every control character: a line stays a line.
    private static void Write(Utf8JsonWriter json, in AuditRecord record)
    {
        json.WriteStartObject();
        json.WriteString("time"u8, DateTimeOffset.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture));
        json.WriteString("event"u8, record.Event);
        json.WriteString("outcome"u8, record.Error == Errno.None ? "done" : "refused");
        if (record.Caller is { } caller)
        {
            json.WriteNumber("uid"u8, caller.UserId);
            json.WriteNumber("gid"u8, caller.GroupId);
            json.WriteNumber("pid"u8, caller.ProcessId);
            WriteText(json, "exe"u8, caller.Program);
        }

        WriteText(json, "asked"u8, record.Asked);
        WriteText(json, "device"u8, record.Device);
        WriteText(json, "address"u8, record.Address);
        WriteText(json, "rule"u8, record.Rule);
        if (record.Lease is int lease)
            json.WriteNumber("lease"u8, lease);
        if (record.Error != Errno.None)
            json.WriteNumber("errno"u8, (int)record.Error);
        WriteText(json, "reason"u8, record.Reason);
        if (record.Count is int count)
            json.WriteNumber("count"u8, count);
        if (record.Seconds is double seconds)
            json.WriteNumber("seconds"u8, Math.Round(seconds, 3));
        json.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? text)
    {
        if (text is not null)
            json.WriteString(name, text);
    }
}

/// <summary>What is on record of one decision.</summary>
/// <param name="Event">What was decided: start, stop, policy, open, hold, revoke, end, silence, repeats.</param>
internal readonly record struct AuditRecord(string Event)
{
    /// <summary>Who asked; null for the broker itself.</summary>
    internal Caller? Caller { get; init; }

    /// <summary>What was asked for.</summary>
    internal string? Asked { get; init; }

    /// <summary>The device's name.</summary>
    internal string? Device { get; init; }

    /// <summary>The device's address.</summary>
    internal string? Address { get; init; }

    /// <summary>The rule that decided; null when none did.</summary>
    internal string? Rule { get; init; }

    /// <summary>The lease.</summary>
    internal int? Lease { get; init; }

    /// <summary>Why it was refused, or failed.</summary>
    internal Errno Error { get; init; }

    /// <summary>Why, in words.</summary>
    internal string? Reason { get; init; }

    /// <summary>Of lines that were not written: how many.</summary>
    internal int? Count { get; init; }

    /// <summary>At the end: how long it lasted.</summary>
    internal double? Seconds { get; init; }
}
