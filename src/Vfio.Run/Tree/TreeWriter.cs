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
            // One that is there may be read-only, and be open.
            File.Delete(full);
            File.WriteAllBytes(full, copy);
            File.SetUnixFileMode(full, isSettable ? Settable : Shown);
        });
    }

    /// <summary>Changes the content of an attribute, which keeps its length; who has it open sees it.</summary>
    internal void Change(string path, ReadOnlySpan<byte> value)
    {
        using FileStream stream = new(root + path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        stream.Write(value);
    }

    /// <summary>Makes a link to another path of the tree; relative, as those of sysfs are.</summary>
    internal void Link(string path, string target) => Do(
        path, full =>
        {
            File.Delete(full);
            File.CreateSymbolicLink(full, Path.GetRelativePath(Path.GetDirectoryName(path)!, target));
        });

    /// <summary>Removes a file, a link, or a folder with all that is in it; what is not there is gone already.</summary>
    internal void Remove(string path)
    {
        string full = root + path;
        if (new FileInfo(full).LinkTarget is null && Directory.Exists(full))
            Directory.Delete(full, recursive: true);
        else
            File.Delete(full);
    }

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
