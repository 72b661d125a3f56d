using Microsoft.Win32.SafeHandles;

namespace Vfio.Devices.Nvme;

/// <summary>Blocks in a file; what lies behind its last whole block is not shown.</summary>
internal sealed class FileStorage : NvmeStorage
{
    private readonly SafeFileHandle _file;

    /// <exception cref="IOException">The file cannot be opened for reading and writing, or is smaller than one block.</exception>
    internal FileStorage(string path, int blockBytes)
    {
        // Shared for reading only: two writers would ruin it.
        _file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        Length = RandomAccess.GetLength(_file) / blockBytes * blockBytes;
        if (Length > 0)
            return;
        _file.Dispose();
        throw new VfioException("opening as a disk", path, Errno.InvalidArgument, $"it has less than one block of {blockBytes} bytes");
    }

    /// <inheritdoc/>
    internal override long Length { get; }

    /// <inheritdoc/>
    internal override void Read(long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int count = RandomAccess.Read(_file, destination, offset);
            if (count == 0)
                throw new EndOfStreamException("the image was cut off while it was in use");
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    internal override void Write(long offset, ReadOnlySpan<byte> source) => RandomAccess.Write(_file, source, offset);

    /// <inheritdoc/>
    internal override void Flush() => RandomAccess.FlushToDisk(_file);

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();
}
