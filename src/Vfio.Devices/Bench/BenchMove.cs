using System.Diagnostics;
using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>One transfer of the benchmark device, in pieces: the first on the thread of the access, the rest on its own.</summary>
/// <remarks>Short transfers of memory that this process reaches end before the access returns, as the interface has it. What is longer, or needs an
/// answer of the memory's owner, is this work's.</remarks>
internal sealed class BenchMove : DeviceWork
{
    /// <summary>Bytes that go through the buffer at a time: it then stays in the cache of the core.</summary>
    private const int PieceBytes = 64 << 10;

    /// <summary>Most repeats and bytes on the thread of the access, a few milliseconds; the first piece is never too long.</summary>
    private const int MostRepeatsAtOnce = 1 << 18, MostBytesAtOnce = 32 << 20;

    /// <summary>Repeats without a look whether to go on.</summary>
    private const int Burst = 1024;

    private readonly ManualResetEventSlim _end = new();
    private readonly MemoryBar _memory;
    private readonly BenchTransfer _transfer;
    private BenchProgress _progress;
    private byte[] _buffer = [];
    private Errno _status = Errno.None;
    private volatile bool _isOver;

    /// <summary>Makes a transfer that has not begun, or goes on with one.</summary>
    internal BenchMove(BenchFunction function, MemoryBar memory, in BenchTransfer transfer, in BenchProgress progress = default)
        : base(function)
    {
        _memory = memory;
        _transfer = transfer;
        _progress = progress;
    }

    /// <summary>Whether it is over: its result stays as it is.</summary>
    internal bool IsOver => _isOver;

    internal BenchResult Result => new(_status, _progress.Segments, _progress.Bytes, _progress.Nanoseconds);

    /// <summary>Whether the repeat under way needs an answer of the memory's owner.</summary>
    internal bool IsAtOwner { get; private set; }

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

    /// <summary>Goes on with what <see cref="Save"/> wrote, or with what somebody made up: the transfer is judged before it is done, and
    /// how far it is must be inside of it.</summary>
    /// <returns>Null when it cannot be.</returns>
    internal static BenchMove? TryRestore(BenchFunction function, MemoryBar memory, ref StateReader state)
    {
        BenchProgress progress = default;
        bool isWhole = state.TryRead(out uint operation) & state.TryRead(out ulong address) & state.TryRead(out ulong length)
            & state.TryRead(out uint repeats) & state.TryRead(out ulong stride) & state.TryRead(out ulong span)
            & state.TryRead(out progress.Repeats) & state.TryRead(out progress.Done) & state.TryRead(out progress.Distance)
            & state.TryRead(out progress.Segments) & state.TryRead(out progress.Bytes) & state.TryRead(out progress.Nanoseconds);
        bool isInside = progress.Repeats <= repeats && (progress.Done == 0 || progress.Done < length);
        return isWhole && isInside
            ? new BenchMove(function, memory, new((BenchOperation)operation, address, length, repeats, stride, span), progress)
            : null;
    }

    /// <summary>Does as much as the thread of an access may; before its own thread is woken.</summary>
    internal void RunAtOnce(IPciSlot slot)
    {
        long start = Stopwatch.GetTimestamp();
        uint firstRepeat = _progress.Repeats;
        ulong firstByte = _progress.Bytes;
        while (!IsJudgedOver() && _progress.Repeats - firstRepeat < MostRepeatsAtOnce && _progress.Bytes - firstByte < MostBytesAtOnce)
        {
            IsAtOwner = _transfer.Operation != BenchOperation.Translate && !slot.IsReachedDirectly(Address, _transfer.Length);
            if (IsAtOwner)
                break;
            while (!Step(slot, isOnOwnThread: false))
            {
            }
        }

        Count(start);
        _isOver = IsFinished;
    }

    /// <summary>Waits until it is over, but not for long.</summary>
    internal void WaitFor(TimeSpan atMost) => _end.Wait(atMost);

    /// <inheritdoc/>
    protected override void Run()
    {
        long start = Stopwatch.GetTimestamp();
        while (!ShouldReturn)
        {
            if (IsJudgedOver())
            {
                Count(start);
                _isOver = true;
                _end.Set();
                return;
            }

            for (int i = 0; i < Burst && !IsFinished && !ShouldReturn; i++)
            {
                if (Step(Bus, isOnOwnThread: true) && _transfer.Operation != BenchOperation.Translate)
                    break;
            }
        }

        Count(start);
    }

    private Iova Address => new(unchecked(_transfer.Address + _progress.Distance));

    private bool IsFinished => _status != Errno.None || _progress.Repeats == _transfer.Repeats;

    private bool IsWrite => _transfer.Operation is BenchOperation.Write or BenchOperation.MessageWrite;

    private bool IsJudgedOver()
    {
        if (_status == Errno.None)
            _status = _transfer.Verdict;
        return IsFinished;
    }

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
