namespace Vfio.Native.Sockets;

/// <summary>Descriptors that arrived and were not taken yet, in order. Owns them: those that are not taken are closed.</summary>
/// <remarks>Not safe for two threads at once.</remarks>
internal sealed class DescriptorQueue : IDisposable
{
    private readonly Queue<FileDescriptor> _waiting = new();

    /// <summary>How many wait.</summary>
    public int Count => _waiting.Count;

    /// <summary>Adds one at the end.</summary>
    public void Add(FileDescriptor descriptor) => _waiting.Enqueue(descriptor);

    /// <summary>Takes the first one; the caller owns it.</summary>
    /// <returns>Null when none waits.</returns>
    public FileDescriptor? Take() => _waiting.TryDequeue(out FileDescriptor? descriptor) ? descriptor : null;

    /// <summary>Closes all that wait.</summary>
    public void Clear()
    {
        while (_waiting.TryDequeue(out FileDescriptor? descriptor))
            descriptor.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();
}
