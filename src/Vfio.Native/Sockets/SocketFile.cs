using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>The socket that is about to be connected to. Root finds it a step at a time, and follows only links of root's: the owner of
/// a directory could put a link to another socket in its place, to which root may connect and that owner may not.</summary>
internal sealed class SocketFile : IDisposable
{
    private readonly FileDescriptor? _file;

    private SocketFile(FileDescriptor? file, UnixAddress address) => (_file, Address) = (file, address);

    /// <summary>Its address, for as long as this lives.</summary>
    internal UnixAddress Address { get; }

    /// <summary>Finds it.</summary>
    /// <exception cref="VfioException">EINVAL: it is no socket's path; ELOOP: a link of another user is on the way; else why it is not
    /// found.</exception>
    internal static SocketFile Find(string path)
    {
        UnixAddress address = new(path);
        return UserAccount.IsRoot ? Of(SafePath.Find(path)) : new SocketFile(null, address);
    }

    /// <summary>What a descriptor names (O_PATH), which this owns.</summary>
    internal static SocketFile Of(FileDescriptor file) => new(file, new UnixAddress($"/proc/self/fd/{file.Number}"));

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
