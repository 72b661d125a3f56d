using Vfio.Native.Files;

namespace Vfio.Cli.Output;

/// <summary>Files that the user of the command names.</summary>
internal static class UserFile
{
    /// <summary>Bytes of the longest file that is read as a whole.</summary>
    internal const int MaxBytes = 64 << 20;

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="VfioException">It cannot be.</exception>
    internal static FileStream OpenRead(string path) => Open("open", path, () => File.OpenRead(path));

    /// <summary>Creates or truncates a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="bufferSize">Buffer size in bytes; 0 for a file that is read while it is written.</param>
    /// <exception cref="VfioException">It cannot be made.</exception>
    internal static FileStream Create(string path, int bufferSize = 4096) =>
        Open("create", path, () => new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize));

    /// <summary>Writes all of a file, or to standard output (-).</summary>
    /// <exception cref="VfioException">It cannot be made or written.</exception>
    internal static void WriteAll(string path, ReadOnlySpan<byte> bytes)
    {
        using Stream stream = path == "-" ? StandardStream.Output : Create(path, bufferSize: 0);
        try
        {
            stream.Write(bytes);
        }
        catch (Exception refusal) when (refusal is IOException and not VfioException or UnauthorizedAccessException)
        {
            throw Failure.Translate("write", path, refusal);
        }
    }

    /// <summary>Reads all of a file, or of standard input (-).</summary>
    /// <exception cref="VfioException">EFBIG: it has more than <see cref="MaxBytes"/>; or why it cannot be read.</exception>
    internal static byte[] ReadAll(string path)
    {
        using Stream stream = path == "-" ? Console.OpenStandardInput() : OpenRead(path);
        using MemoryStream bytes = new();
        byte[] piece = new byte[64 << 10];
        try
        {
            for (int count; (count = stream.Read(piece)) > 0;)
            {
                bytes.Write(piece, 0, count);
                if (bytes.Length > MaxBytes)
                    throw new VfioException("read", path, Errno.FileTooLarge, $"at most {MaxBytes >> 20} MiB are read");
            }
        }
        catch (Exception refusal) when (refusal is IOException and not VfioException or UnauthorizedAccessException)
        {
            throw Failure.Translate("read", path, refusal);
        }

        return bytes.ToArray();
    }

    private static FileStream Open(string operation, string path, Func<FileStream> open)
    {
        try
        {
            return open();
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw refusal is ArgumentException or NotSupportedException
                ? new VfioException(operation, path, Errno.InvalidArgument, "write the path of a file")
                : Failure.Translate(operation, path, refusal);
        }
    }
}
