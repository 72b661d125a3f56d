using System.Text;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Cli.Output;

/// <summary>Standard output and standard error of the command.</summary>
internal static class StandardStreams
{
    /// <summary>Standard output. A write that fails is a <see cref="VfioException"/>.</summary>
    internal static PlainWriter Output { get; } = new(Open(StandardStream.Output), !Console.IsOutputRedirected);

    /// <summary>Standard error. A write that fails is ignored.</summary>
    internal static PlainWriter Errors { get; } = new(Open(new Quiet(StandardStream.Error)), !Console.IsErrorRedirected);

    private static StreamWriter Open(Stream stream) => new(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };

    /// <summary>A stream that ignores failed writes: its errors could only be written to itself.</summary>
    private sealed class Quiet(Stream stream) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            try
            {
                stream.Write(buffer);
            }
            catch (VfioException)
            {
                // There is no other stream to report it on.
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
