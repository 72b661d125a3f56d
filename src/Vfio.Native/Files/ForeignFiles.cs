using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Closes files that a peer sent without waiting for it.</summary>
/// <remarks>To close a file of FUSE is to wait until whoever serves it has agreed (FUSE_FLUSH), which no signal ends. What may be one is
/// closed by threads that nobody waits for. Those that are stuck are so until the peer's file system ends; when there are
/// <see cref="MostThreads"/>, what follows stays open, and counts against the process' limit of open files.</remarks>
internal static class ForeignFiles
{
    private const int MostThreads = 16, StackBytes = 128 << 10;
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);
    private static readonly object Gate = new();
    private static readonly Queue<int> Waiting = new();
    private static int _threads;
    private static int _idle;

    /// <summary>Whether closing a descriptor may wait for its sender: it is a file, and not one in memory.</summary>
    internal static bool CloseMayStall(FileDescriptor descriptor)
    {
        if (FileSystemKind.IsMemory(descriptor))
            return false;
        try
        {
            return FileStatus.Of(descriptor.Number).Kind is FileKind.Regular or FileKind.Directory or FileKind.CharacterDevice or FileKind.BlockDevice;
        }
        catch (VfioException)
        {
            return true;
        }
    }

    /// <summary>Closes a descriptor at some time.</summary>
    internal static void CloseLater(int number)
    {
        lock (Gate)
        {
            Waiting.Enqueue(number);
            if (Waiting.Count <= _idle || _threads == MostThreads)
            {
                Monitor.Pulse(Gate);
                return;
            }

            _threads++;
        }

        new Thread(Run, StackBytes) { IsBackground = true, Name = "vfio closing" }.Start();
    }

    private static void Run()
    {
        while (TryTake(out int number))
            _ = LibC.close(number);
    }

    private static bool TryTake(out int number)
    {
        lock (Gate)
        {
            _idle++;
            while (!Waiting.TryPeek(out _) && Monitor.Wait(Gate, Linger))
            {
            }

            _idle--;
            if (Waiting.TryDequeue(out number))
                return true;
            _threads--;
            return false;
        }
    }
}
