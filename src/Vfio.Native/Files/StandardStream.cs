using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Standard output or standard error of this process, which says of every write whether it was done.</summary>
/// <remarks>.NET's own console streams ignore a closed reader. Nothing is buffered; one writer at a time.</remarks>
internal sealed unsafe class StandardStream : Stream
{
    /// <summary>What errors of writing to standard output have as their target.</summary>
    public const string OutputName = "standard output";

    private readonly int _number;
    private readonly string _name;

    private StandardStream(int number, string name, bool isOpen) => (_number, _name, IsOpen) = (number, name, isOpen);

    /// <summary>Standard output.</summary>
    public static StandardStream Output { get; } = Find(1, OutputName);

    /// <summary>Standard error.</summary>
    public static StandardStream Error { get; } = Find(2, "standard error");

    /// <summary>Whether this process was started with it open.</summary>
    public bool IsOpen { get; }

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Puts something that takes and gives nothing in place of the standard descriptors that are not open, so that no file or
    /// socket opened later gets the number of one.</summary>
    public static void FillGaps()
    {
        _ = (Output.IsOpen, Error.IsOpen);
        for (int number = 0; number <= 2; number++)
        {
            // The lowest free number is what the kernel gives.
            if (LibC.fcntl(number, LibC.F_GETFD, 0) < 0)
                _ = LibC.open("/dev/null", LibC.O_RDWR);
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Writes all of it, for as long as that takes.</summary>
    /// <exception cref="VfioException">EPIPE: nobody reads any more; EBADF: the stream is closed; ENOSPC and others of <c>write</c>.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (!IsOpen)
            throw new VfioException("write", _name, Errno.BadDescriptor, "it is closed; whoever starts this program opens it");
        while (buffer.Length > 0)
        {
            nint written;
            fixed (byte* bytes = buffer)
                written = LibC.write(_number, bytes, (nuint)buffer.Length);
            if (written >= 0)
            {
                buffer = buffer[(int)written..];
                continue;
            }

            VfioException refusal = VfioException.FromLastError("write", _name);
            if (refusal.Errno == Errno.TryAgain)
                WaitWritable();
            else if (refusal.Errno != Errno.Interrupted)
                throw refusal;
        }
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    // What a process is started with does not close on exec; what the runtime opened in the place of a stream that is closed does.
    private static StandardStream Find(int number, string name) =>
        new(number, name, LibC.fcntl(number, LibC.F_GETFD, 0) is >= 0 and var flags && (flags & LibC.FD_CLOEXEC) == 0);

    // Another process that shares the terminal or pipe made it nonblocking.
    private void WaitWritable()
    {
        LibC.PollEntry entry = new() { Descriptor = _number, Events = LibC.POLLOUT };
        _ = LibC.poll(&entry, 1, -1);
    }
}
