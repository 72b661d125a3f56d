using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>An address space that several mappings share, closed with the last of them.</summary>
/// <param name="file">The address space; owned by this object.</param>
internal sealed class SharedAddressSpace(AddressSpaceFile file)
{
    private int _references = 1;

    /// <summary>The address space.</summary>
    internal AddressSpaceFile File => file;

    /// <summary>Keeps it.</summary>
    internal void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Releases one reference.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            file.Dispose();
    }
}
