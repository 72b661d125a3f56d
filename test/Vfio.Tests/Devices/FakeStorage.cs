using System.Collections.Concurrent;
using Vfio.Devices.Nvme;

namespace Vfio.Tests.Devices;

/// <summary>Blocks that fail, or hang, when a test says so; and a log of what was done with them.</summary>
internal sealed class FakeStorage(bool isReadOnly = false) : NvmeStorage
{
    private readonly byte[] _bytes = new byte[1 << 20];
    private readonly ConcurrentDictionary<string, ManualResetEventSlim> _hanging = [];
    private int _flushes;

    internal ConcurrentQueue<string> Log { get; } = [];

    internal Errno ReadError { get; set; }

    internal Errno WriteError { get; set; }

    internal Errno FlushError { get; set; }

    internal int Flushes => Volatile.Read(ref _flushes);

    internal override long Length => _bytes.Length;

    internal override bool IsReadOnly => isReadOnly;

    /// <summary>Lets the next call of a kind hang, as in the kernel: nothing ends it but <see cref="Release"/>.</summary>
    internal void Hang(string kind) => Assert.True(_hanging.TryAdd(kind, new ManualResetEventSlim()));

    internal void Release(string kind)
    {
        Assert.True(_hanging.TryRemove(kind, out ManualResetEventSlim? hanging));
        hanging.Set();
    }

    internal override Errno Read(long offset, Span<byte> destination)
    {
        Pass("read");
        _bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        Log.Enqueue("read");
        return ReadError;
    }

    /// <summary>Whether nothing is at hand: each read waits for the medium.</summary>
    internal bool IsCold { get; set; }

    /// <summary>Whether the place of bytes can be given back.</summary>
    internal bool HasHoles { get; set; } = true;

    internal override Errno TryRead(long offset, Span<byte> destination)
    {
        if (!IsCold)
            return Read(offset, destination);
        Pass("look");
        return Errno.TryAgain;
    }

    internal override Errno Write(long offset, ReadOnlySpan<byte> source)
    {
        Pass("write");
        source.CopyTo(_bytes.AsSpan((int)offset));
        Log.Enqueue("write");
        return WriteError;
    }

    internal override Errno Zero(long offset, long length, bool isDiscarded)
    {
        if (!HasHoles)
            return Errno.NotSupported;
        Pass("zero");
        _bytes.AsSpan((int)offset, (int)length).Clear();
        Log.Enqueue(isDiscarded ? "discard" : "zero");
        return WriteError;
    }

    internal override Errno Flush()
    {
        Pass("flush");
        Interlocked.Increment(ref _flushes);
        Log.Enqueue("flush");
        return FlushError;
    }

    private void Pass(string kind)
    {
        if (!_hanging.TryGetValue(kind, out ManualResetEventSlim? hanging))
            return;
        Log.Enqueue($"{kind} hangs");
        Assert.True(hanging.Wait(TimeSpan.FromSeconds(120)));
    }
}
