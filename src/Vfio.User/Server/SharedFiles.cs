using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.User.Server;

/// <summary>The files of a client's mappings, each shared once however many mappings lie in it.</summary>
/// <remarks>
/// <para>Used by the session's thread alone. A further mapping of a known file costs one system call to recognise it. A file without
/// mappings is released, except for the one used last, since the next mapping is likely to lie in it.</para>
/// <para>A mapping past the end of what is shared, or for writing where it was shared for reading only, shares the file again; the
/// earlier share lives as long as its mappings.</para>
/// </remarks>
/// <param name="limit">How many shares may live at a time.</param>
/// <param name="allowStalling">See <see cref="VfioUserServerOptions.AllowStallingFiles"/>.</param>
internal sealed class SharedFiles(int limit, bool allowStalling) : IDisposable
{
    private readonly Dictionary<(ulong Device, ulong Inode), SharedDmaMemory> _current = [];
    private readonly List<SharedDmaMemory> _outgrown = [];
    private SharedDmaMemory? _last;

    /// <summary>Finds or makes the share of a file.</summary>
    /// <param name="file">It may be closed afterwards.</param>
    /// <param name="offset">Where the mapping starts in the file, in bytes.</param>
    /// <param name="length">Bytes of the mapping.</param>
    /// <param name="writable">Whether the device may write it.</param>
    /// <returns>The share; its offsets are those of the file. Whoever keeps it takes a reference.</returns>
    /// <exception cref="VfioException">EINVAL: no memory file, or too short; EACCES: not opened for this; EMFILE: over the limit.</exception>
    internal SharedDmaMemory Get(FileDescriptor file, ulong offset, ulong length, bool writable)
    {
        (ulong device, ulong inode, ulong fileLength) = FileIdentity.Locate(file);
        if (_current.TryGetValue((device, inode), out SharedDmaMemory? known) && Suffices(known.Shared, offset, length, writable))
            return _last = known;
        if (offset > fileLength || length > fileLength - offset)
        {
            throw new VfioException(
                $"mapping of {length} bytes at {offset}", $"a shared file of {fileLength} bytes", Errno.InvalidArgument, "the file is too short");
        }

        LetGo(keep: null);
        if (_current.Count + _outgrown.Count >= limit)
            throw new VfioException("mapping", "one more file", Errno.TooManyOpenFiles, $"a client may share {limit}");
        bool staysWritable = known is { Shared.IsWritable: true } && FileIdentity.Of(file).Writable;
        SharedDmaMemory share = new(SharedMemory.Share(file, 0, fileLength, writable || staysWritable, allowStalling));
        if (_current.Remove((device, inode), out SharedDmaMemory? outgrown))
            _outgrown.Add(outgrown);
        _current.Add((device, inode), share);
        return _last = share;
    }

    /// <summary>Shares a file as another process did.</summary>
    /// <param name="file">It stays the caller's.</param>
    /// <param name="length">How much of it was shared, in bytes.</param>
    /// <param name="writable">Whether it was for writing.</param>
    /// <exception cref="VfioException">EINVAL: the client has truncated it since, or it is no memory file.</exception>
    internal SharedDmaMemory TakeOver(FileDescriptor file, ulong length, bool writable)
    {
        (ulong device, ulong inode, _) = FileIdentity.Locate(file);
        SharedDmaMemory share = new(SharedMemory.Share(file, 0, length, writable, allowStalling));
        if (_current.TryAdd((device, inode), share))
            _last = share;
        else
            _outgrown.Add(share);
        return share;
    }

    /// <summary>Releases files that no mapping lies in any more, except for the one used last.</summary>
    internal void LetGoOfUnused()
    {
        if (_current.Count + _outgrown.Count > 1)
            LetGo(keep: _last);
    }

    /// <summary>Releases all files; a mapping that still lies in one keeps it.</summary>
    public void Dispose()
    {
        foreach (SharedDmaMemory share in _current.Values)
            share.Release();
        foreach (SharedDmaMemory share in _outgrown)
            share.Release();
        _current.Clear();
        _outgrown.Clear();
    }

    private static bool Suffices(SharedMemory shared, ulong offset, ulong length, bool writable) =>
        offset <= shared.Length && length <= shared.Length - offset && (shared.IsWritable || !writable);

    private void LetGo(SharedDmaMemory? keep)
    {
        foreach (KeyValuePair<(ulong Device, ulong Inode), SharedDmaMemory> entry in _current)
        {
            if (entry.Value == keep || !entry.Value.HasOneReference)
                continue;
            // Removing the current entry is allowed while a dictionary is walked.
            _current.Remove(entry.Key);
            entry.Value.Release();
        }

        for (int i = _outgrown.Count - 1; i >= 0; i--)
        {
            if (!_outgrown[i].HasOneReference)
                continue;
            _outgrown[i].Release();
            _outgrown.RemoveAt(i);
        }
    }
}
