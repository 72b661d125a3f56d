using Vfio.Captures;
using Vfio.Native.Files;
using Vfio.User.Captures;

namespace Vfio.User;

/// <summary>A capture of vfio-user messages, as Wireshark reads it with the dissector in <c>packaging/wireshark</c>.</summary>
/// <remarks>
/// <para>It has the messages of every server and client that has it in its options, byte by byte: each session with a number, which way a
/// message went, and how many descriptors came with it. A message is captured before it is sent, and when it was received as a whole; bytes
/// after which a stream ends or breaks are captured too.</para>
/// <para>A session copies its messages into a queue of 4 MiB and waits for nothing; a thread writes them. What does not fit is dropped, and
/// <see cref="Dropped"/> counts it. When the stream cannot be written, the capture ends and the sessions go on.</para>
/// <para>The format is pcapng with LINKTYPE_WIRESHARK_UPPER_PDU. Any thread may use it. Dispose servers and clients before it.</para>
/// </remarks>
public sealed class VfioUserCapture : IDisposable
{
    private const int QueueBytes = 4 << 20, NameCharacters = 300;
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1), Longest = TimeSpan.FromMilliseconds(16);
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(1);
    private readonly CaptureClock _clock = new();
    private readonly CaptureQueue _queue;
    private readonly CapturedParts _parts;
    private readonly VfioUserCaptureOptions _options;
    private readonly Stream _stream;
    private readonly ManualResetEventSlim _stop = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private uint _sessions;

    /// <summary>Begins a capture.</summary>
    /// <param name="stream">Where to write it; owned.</param>
    /// <param name="options">What to keep; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">The snap length is out of its range.</exception>
    public VfioUserCapture(Stream stream, VfioUserCaptureOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        options ??= new VfioUserCaptureOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.SnapLengthBytes, 16, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.SnapLengthBytes, VfioUserCaptureOptions.MaxSnapLengthBytes, nameof(options));
        (_stream, _options) = (stream, options);
        _queue = new CaptureQueue(QueueBytes, _clock);
        _parts = new CapturedParts(options.SnapLengthBytes, options.RedactsDma);
        PcapngFile file = new(
            stream,
            new PcapngSource(PcapngSource.UpperPdu, options.Name[..Math.Min(options.Name.Length, NameCharacters)])
            {
                Description = "vfio-user messages",
                SnapLengthBytes = options.SnapLengthBytes + CapturePoint.PrefixBytes,
            },
            $"Vfio {typeof(VfioUserCapture).Assembly.GetName().Version?.ToString(3)}",
            "Wireshark shows the messages with the dissector vfio-user.lua.");
        _thread = new Thread(() => Run(file)) { IsBackground = true, Name = "vfio-user capture" };
        _thread.Start();
    }

    /// <summary>Messages captured by now, those that were dropped too.</summary>
    public long Messages => _queue.Packets;

    /// <summary>Messages that are missing, because they came faster than they could be written.</summary>
    public long Dropped => _queue.Dropped;

    /// <summary>Why the capture ended early, as where the disk is full; null while it did not.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Completes when no more is written: the stream cannot be written, or the capture was disposed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Begins a capture in a file, which only its owner may read: a capture has what devices and memory hold.</summary>
    /// <remarks>A process whose files may not get so large (RLIMIT_FSIZE) is ended by SIGXFSZ, unless it handles that signal; the capture
    /// ends then.</remarks>
    /// <param name="path">The regular file, which is made with mode 0600, or emptied and given that mode. No symbolic link.</param>
    /// <param name="options">What to keep; null for the defaults.</param>
    /// <exception cref="VfioException">The file cannot be made; EACCES: it belongs to another user, or root's has a second name; EBUSY: another
    /// capture writes it (flock); EINVAL: it is no regular file; ELOOP: it is a symbolic link.</exception>
    public static VfioUserCapture ToFile(string path, VfioUserCaptureOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        FileStream stream = new(SafePath.CreatePrivate(path), FileAccess.Write, bufferSize: 0);
        try
        {
            return new VfioUserCapture(stream, options);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Writes what is there by now, and ends. A stream that takes nothing delays it for one second at most.</summary>
    public void Dispose()
    {
        _stop.Set();
        _thread.Join(EndTime);
    }

    /// <summary>Begins a session.</summary>
    /// <param name="isServer">Whether this side is the server.</param>
    internal CapturePoint Begin(bool isServer) => new(_queue, _parts, Interlocked.Increment(ref _sessions), isServer);

    private void Run(PcapngFile file)
    {
        try
        {
            using (_stream)
                Write(file);
        }
        catch (ArgumentOutOfRangeException)
        {
            // .NET's name for EFBIG: the process may not have files of this size, or the file system has none.
            Failure = new IOException("the file is too large", (int)Errno.FileTooLarge);
        }
        catch (Exception refusal)
        {
            // Whatever it is, the sessions go on.
            Failure = refusal;
        }

        _queue.Close();
        _ended.TrySetResult();
    }

    private void Write(PcapngFile file)
    {
        byte[] packet = new byte[_options.SnapLengthBytes + CapturePoint.PrefixBytes];
        ulong start = _clock.Now;
        TimeSpan sleep = Shortest;
        file.Flush();

        // No session has to wake this thread: it looks again and again.
        for (bool isLast = false; !isLast;)
        {
            isLast = _stop.Wait(sleep);
            long before = file.Packets;
            while (_queue.TryTake(packet, out CaptureQueue.Head head))
                file.Write(packet.AsSpan(0, head.Length), head.OriginalLength, head.Time, head.Flags);
            sleep = file.Packets > before ? Shortest : TimeSpan.FromTicks(Math.Min(sleep.Ticks * 2, Longest.Ticks));
            if (file.Packets > before)
                file.Flush();
        }

        file.Finish(start, _clock.Now, _queue.Packets, _queue.Dropped);
    }
}
