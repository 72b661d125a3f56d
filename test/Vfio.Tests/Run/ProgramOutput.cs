using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Run;

/// <summary>A file in memory that a program writes to.</summary>
internal sealed class ProgramOutput : IDisposable
{
    internal FileDescriptor File { get; } = MemoryFile.CreateUnsealed("output", 0);

    /// <summary>What was written so far.</summary>
    internal string Text
    {
        get
        {
            using FileStream stream = new($"/proc/self/fd/{File.Number}", FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using StreamReader reader = new(stream);
            return reader.ReadToEnd();
        }
    }

    public void Dispose() => File.Dispose();
}
