using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Run.Tree;

/// <summary>Writes the files of a tree.</summary>
/// <param name="root">The folder that stands for the root of the machine's paths.</param>
internal sealed class TreeWriter(string root)
{
    private const UnixFileMode Shown = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Settable = Shown | UnixFileMode.UserWrite;

    /// <summary>Makes a folder.</summary>
    internal void Folder(string path) => Do(path, full => Directory.CreateDirectory(full));

    /// <summary>Makes an attribute that ends its line.</summary>
    internal void Text(string path, string value, bool isSettable = false) => Bytes(path, System.Text.Encoding.ASCII.GetBytes(value + "\n"), isSettable);

    /// <summary>Makes an attribute.</summary>
    internal void Bytes(string path, ReadOnlySpan<byte> value, bool isSettable = false)
    {
        byte[] copy = value.ToArray();
        Do(path, full =>
        {
            File.WriteAllBytes(full, copy);
            File.SetUnixFileMode(full, isSettable ? Settable : Shown);
        });
    }

    /// <summary>Makes a link to another path of the tree; relative, as those of sysfs are.</summary>
    internal void Link(string path, string target) => Do(
        path, full => File.CreateSymbolicLink(full, Path.GetRelativePath(Path.GetDirectoryName(path)!, target)));

    private void Do(string path, Action<string> action)
    {
        string full = root + path;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            action(full);
        }
        catch (Exception refusal) when (refusal is UnauthorizedAccessException or (IOException and not VfioException))
        {
            throw new VfioException("writing", full, FileErrors.ErrnoOf(refusal), "make room in /dev/shm");
        }
    }
}
