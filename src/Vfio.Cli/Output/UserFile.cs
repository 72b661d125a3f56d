using System.Text;

namespace Vfio.Cli.Output;

/// <summary>Files that the user of the command names.</summary>
internal static class UserFile
{
    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="VfioException">It cannot be.</exception>
    internal static FileStream OpenRead(string path) => Open("open", path, () => File.OpenRead(path));

    /// <summary>Creates or truncates a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="bufferSize">Buffer size in bytes; 0 for a file that is read while it is written.</param>
    /// <exception cref="VfioException">It cannot be made.</exception>
    internal static FileStream Create(string path, int bufferSize = 4096) =>
        Open("create", path, () => new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize));

    /// <summary>Opens a file for reading as text.</summary>
    /// <exception cref="VfioException">It cannot be.</exception>
    internal static StreamReader OpenText(string path) => new(OpenRead(path), Encoding.UTF8);

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
