using System.Collections.Concurrent;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Closes files that a peer sent without waiting for it.</summary>
/// <remarks>To close a file of FUSE is to wait until whoever serves it has agreed (FUSE_FLUSH), which no signal ends. What may be one is
/// closed by threads that nobody waits for. Those that are stuck are so until the peer's file system ends; when there are
/// <see cref="MostThreads"/>, what follows stays open, and counts against the process' limit of open files. So each sender may have
/// <see cref="ForeignSender.MostOpen"/> of them.</remarks>
internal static class ForeignFiles
{
    private const int MostThreads = 16, StackBytes = 128 << 10;
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);
    private static readonly object Gate = new();
    private static readonly Queue<(int Number, ForeignSender? Sender)> Waiting = new();
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
    /// <param name="number">The descriptor.</param>
    /// <param name="sender">Who sent it; null where nobody counts.</param>
    internal static void CloseLater(int number, ForeignSender? sender)
    {
        sender?.Add(1);
        lock (Gate)
        {
            Waiting.Enqueue((number, sender));
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
        while (TryTake(out (int Number, ForeignSender? Sender) next))
        {
            _ = LibC.close(next.Number);
            next.Sender?.Add(-1);
        }
    }

    private static bool TryTake(out (int Number, ForeignSender? Sender) next)
    {
        lock (Gate)
        {
            _idle++;
            while (!Waiting.TryPeek(out _) && Monitor.Wait(Gate, Linger))
            {
            }

            _idle--;
            if (Waiting.TryDequeue(out next))
                return true;
            _threads--;
            return false;
        }
    }
}

/// <summary>A user who sends files, and how many of them are being closed.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class ForeignSender
{
    /// <summary>With more than so many files that do not close, nothing more is received of the sender.</summary>
    internal const int MostOpen = 64;

    private const int MostSenders = 4096;
    private static readonly ConcurrentDictionary<uint, ForeignSender> Senders = new();
    private int _open;

    /// <summary>Whether too many of its files do not close.</summary>
    internal bool IsOverLimit => Volatile.Read(ref _open) > MostOpen;

    /// <summary>That of a user, for all connections of the user.</summary>
    internal static ForeignSender Of(uint user)
    {
        // Only those count who hold something up now.
        if (Senders.Count >= MostSenders)
        {
            foreach ((uint other, ForeignSender sender) in Senders)
            {
                if (Volatile.Read(ref sender._open) == 0)
                    Senders.TryRemove(other, out _);
            }
        }

        return Senders.GetOrAdd(user, static _ => new ForeignSender());
    }

    /// <summary>More of its files, or fewer, are being closed.</summary>
    internal void Add(int files) => Interlocked.Add(ref _open, files);
}
