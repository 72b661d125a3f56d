using System.Diagnostics;
using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>The transfers of the benchmark device, one at a time and in pieces: the first on the thread of the access, the rest on its
/// own.</summary>
/// <remarks>Short transfers of memory that this process reaches end before the access returns, as the interface has it. What is longer,
/// or needs an answer of the memory's owner, is handed over to this work's thread: until it is over, or that stands still, nobody else
/// touches it.</remarks>
internal sealed class BenchWork : DeviceWork
{
    /// <summary>Bytes that go through the buffer at a time: it then stays in the cache of the core.</summary>
    private const int PieceBytes = 64 << 10;

    /// <summary>Most repeats and bytes on the thread of the access, a few milliseconds; the first piece is never too long.</summary>
    private const int MostRepeatsAtOnce = 1 << 18, MostBytesAtOnce = 32 << 20;

    /// <summary>Repeats without a look whether to go on.</summary>
    private const int Burst = 1024;

    private readonly ManualResetEventSlim _end = new();
    private readonly MemoryBar _memory;
    private BenchTransfer _transfer;
    private BenchProgress _progress;
    private byte[] _buffer = [];
    private Errno _status;
    private volatile bool _isOnThread;
    private volatile bool _isOver = true;

    internal BenchWork(BenchFunction function, MemoryBar memory)
        : base(function) => _memory = memory;

    /// <summary>Whether no transfer is under way: the result of the last one stays as it is.</summary>
    internal bool IsOver => _isOver;

    internal BenchResult Result => new(_status, _progress.Segments, _progress.Bytes, _progress.Nanoseconds);

    /// <summary>Whether the repeat under way needs an answer of the memory's owner.</summary>
    internal bool IsAtOwner { get; private set; }

    /// <summary>Where the first repeat is.</summary>
    internal Iova Start => new(_transfer.Address);

    /// <summary>Takes a transfer, which does not begin yet; when none is under way.</summary>
    internal void Take(in BenchTransfer transfer)
    {
        _transfer = transfer;
        _progress = default;
        _status = Errno.None;
        IsAtOwner = false;
        _end.Reset();
        _isOver = false;
    }

    /// <summary>Begins, or goes on while its thread stands still: does as much as the thread of an access may, and hands the rest
    /// over.</summary>
    internal void Begin(IPciSlot slot)
    {
        if (_isOver)
            return;
        _isOnThread = false;
        RunAtOnce(slot);
        if (IsFinished)
        {
            _isOver = true;
            return;
        }

        _isOnThread = true;
        Wake();
    }

    /// <summary>Writes down what it is and how far; its thread stands still.</summary>
    internal void Save(StateWriter state)
    {
        state.Write((uint)_transfer.Operation);
        state.Write(_transfer.Address);
        state.Write(_transfer.Length);
        state.Write(_transfer.Repeats);
        state.Write(_transfer.Stride);
        state.Write(_transfer.Span);
        state.Write(_progress.Repeats);
        state.Write(_progress.Done);
        state.Write(_progress.Distance);
        state.Write(_progress.Segments);
        state.Write(_progress.Bytes);
        state.Write(_progress.Nanoseconds);
    }

    /// <summary>Takes what <see cref="Save"/> wrote, or what somebody made up: the transfer is checked before it is done, and how far it
    /// is must be inside of it.</summary>
    /// <returns>False when it cannot be.</returns>
    internal bool TryRestore(ref StateReader state)
    {
        BenchProgress progress = default;
        bool isWhole = state.TryRead(out uint operation) & state.TryRead(out ulong address) & state.TryRead(out ulong length)
            & state.TryRead(out uint repeats) & state.TryRead(out ulong stride) & state.TryRead(out ulong span)
            & state.TryRead(out progress.Repeats) & state.TryRead(out progress.Done) & state.TryRead(out progress.Distance)
            & state.TryRead(out progress.Segments) & state.TryRead(out progress.Bytes) & state.TryRead(out progress.Nanoseconds);
        bool isInside = progress.Repeats <= repeats && (progress.Done == 0 || progress.Done < length);
        if (!isWhole || !isInside)
            return false;
        Take(new BenchTransfer((BenchOperation)operation, address, length, repeats, stride, span));
        _progress = progress;
        return true;
    }

    /// <summary>Waits until it is over, but not for long.</summary>
    internal void WaitFor(TimeSpan atMost) => _end.Wait(atMost);

    /// <inheritdoc/>
    protected override void Run()
    {
        if (!_isOnThread)
            return;
        long start = Stopwatch.GetTimestamp();
        bool isFinished = false;
        while (!ShouldReturn && !isFinished)
        {
            for (int i = 0; i < Burst && !IsFinished && !ShouldReturn; i++)
            {
                if (Step(Bus, isOnOwnThread: true) && _transfer.Operation != BenchOperation.Translate)
                    break;
            }

            isFinished = IsFinished;
        }

        Count(start);
        if (!isFinished)
            return;
        _isOnThread = false;
        _end.Set();
        _isOver = true;
    }

    private void RunAtOnce(IPciSlot slot)
    {
        long start = Stopwatch.GetTimestamp();
        uint firstRepeat = _progress.Repeats;
        ulong firstByte = _progress.Bytes;
        if (_status == Errno.None)
            _status = _transfer.Verdict;
        while (!IsFinished && _progress.Repeats - firstRepeat < MostRepeatsAtOnce && _progress.Bytes - firstByte < MostBytesAtOnce)
        {
            IsAtOwner = _transfer.Operation != BenchOperation.Translate && !slot.IsReachedDirectly(Address, _transfer.Length);
            if (IsAtOwner)
                break;
            while (!Step(slot, isOnOwnThread: false))
            {
            }
        }

        Count(start);
    }

    private Iova Address => new(unchecked(_transfer.Address + _progress.Distance));

    private bool IsFinished => _status != Errno.None || _progress.Repeats == _transfer.Repeats;

    private bool IsWrite => _transfer.Operation is BenchOperation.Write or BenchOperation.MessageWrite;

    private void Count(long start) => _progress.Nanoseconds += (ulong)Stopwatch.GetElapsedTime(start).TotalNanoseconds;

    /// <summary>Does one piece of the repeat under way.</summary>
    /// <returns>Whether the repeat is over, well or not.</returns>
    private bool Step(IPciSlot slot, bool isOnOwnThread)
    {
        if (_progress.Done == 0)
        {
            DmaAccess access = _transfer.Operation == BenchOperation.Translate ? DmaAccess.None : IsWrite ? DmaAccess.Write : DmaAccess.Read;
            Errno refusal = slot.TranslateMemory(Address, _transfer.Length, access, out _progress.Segments);
            if (refusal != Errno.None)
                return Fail(refusal);
        }

        if (_transfer.Operation != BenchOperation.Translate)
        {
            int left = (int)(_transfer.Length - _progress.Done);
            bool isMessage = _transfer.Operation is BenchOperation.MessageRead or BenchOperation.MessageWrite;
            int count = isMessage ? left : Math.Min(left, PieceBytes);
            if (isOnOwnThread && !Enter())
                return Fail(Errno.OperationNotPermitted);
            Errno refusal = Move(slot, new Iova(unchecked(Address.Value + _progress.Done)), count);
            if (isOnOwnThread)
                Leave();
            if (refusal != Errno.None)
                return Fail(refusal);
            _progress.Done += (uint)count;
            if (_progress.Done < _transfer.Length)
                return false;
        }

        _progress.Done = 0;
        _progress.Bytes += _transfer.Length;
        _progress.Repeats++;
        _progress.Distance = _transfer.After(_progress.Distance);
        return true;
    }

    private bool Fail(Errno refusal)
    {
        _status = refusal;
        return true;
    }

    private Errno Move(IPciSlot slot, Iova address, int count)
    {
        Span<byte> piece = Buffer(count);
        if (IsWrite)
        {
            _memory.Read(_progress.Done, piece);
            return slot.WriteMemory(address, piece);
        }

        // Abandoned meanwhile, it must not change what is another's by now.
        Errno error = slot.ReadMemory(address, piece);
        if (error == Errno.None && !IsAbandoned)
            _memory.Write(_progress.Done, piece);
        return error;
    }

    private Span<byte> Buffer(int bytes)
    {
        if (_buffer.Length < bytes)
            _buffer = GC.AllocateUninitializedArray<byte>(Math.Max(bytes, PieceBytes));
        return _buffer.AsSpan(0, bytes);
    }
}
