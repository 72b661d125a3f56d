using System.Buffers;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Migration;

/// <summary>The state of a function as a stream. The identity may be sent while the function runs, so that a destination that cannot
/// take the state fails early; the rest follows once it is stopped.</summary>
internal sealed class StateSource
{
    internal const int MemoryPieceBytes = 64 << 10;

    private readonly GuardState _guard;
    private readonly StateWriter _ready = new();
    private readonly MemoryWalk _memory;
    private Crc32C _checksum;
    private int _taken;
    private bool _isStopped;
    private bool _hasEnd;

    internal StateSource(GuardState guard)
    {
        _guard = guard;
        _memory = new MemoryWalk(guard.Memory);
        Append(StateSectionKind.Identity, 0, guard.Identity);
    }

    /// <summary>Saves the state, except memory, which is read when it is sent; the function is stopped.</summary>
    internal void Stop(IMigratableFunction function)
    {
        _isStopped = true;
        byte[] bytes = new byte[Math.Max(_guard.ConfigLength, Math.Max(_guard.InterruptsLength, _guard.TableLength))];
        _guard.ReadConfig(bytes.AsSpan(0, _guard.ConfigLength));
        Append(StateSectionKind.Config, 0, bytes.AsSpan(0, _guard.ConfigLength));
        _guard.ReadInterrupts(bytes.AsSpan(0, _guard.InterruptsLength));
        Append(StateSectionKind.Interrupts, 0, bytes.AsSpan(0, _guard.InterruptsLength));
        _guard.ReadTable(bytes.AsSpan(0, _guard.TableLength));
        Append(StateSectionKind.MsixTable, 0, bytes.AsSpan(0, _guard.TableLength));
        ArrayBufferWriter<byte> own = new();
        function.Save(own);
        if (own.WrittenCount > StateSink.MaxFunctionBytes)
            throw new VfioException($"saving of {own.WrittenCount} bytes", _guard.Layout.Function.Name, Errno.NoSpace);
        Append(StateSectionKind.Function, 0, own.WrittenSpan);
    }

    /// <summary>Reads the next bytes.</summary>
    /// <returns>How many bytes; fewer than requested only at the end.</returns>
    internal int Read(Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length && (_taken < _ready.Written.Length || Refill()))
        {
            int count = Math.Min(destination.Length - done, _ready.Written.Length - _taken);
            _ready.Written.Slice(_taken, count).CopyTo(destination[done..]);
            _taken += count;
            done += count;
        }

        return done;
    }

    private bool Refill()
    {
        if (!_isStopped || _hasEnd)
            return false;
        _ready.Clear();
        _taken = 0;
        if (!_memory.IsAtEnd)
        {
            AppendMemory();
        }
        else
        {
            uint checksum = _checksum.Value;
            Append(StateSectionKind.End, 0, Blittable.AsBytes(ref checksum));
            _hasEnd = true;
        }

        return true;
    }

    private void AppendMemory()
    {
        RegionIndex region = _memory.Region;
        byte[] piece = new byte[8 + (int)Math.Min(_memory.Left, MemoryPieceBytes)];
        Blittable.Write(piece, _memory.Offset);
        if (!_guard.Layout.Function.GetMemory(region)!.TryRead(_memory.Offset, piece.AsSpan(8)))
            throw new VfioException($"saving of {region}", _guard.Layout.Function.Name, Errno.InputOutput);
        Append(StateSectionKind.Memory, region.Value, piece);
        _memory.Advance(piece.Length - 8);
    }

    private void Append(StateSectionKind kind, uint index, ReadOnlySpan<byte> payload)
    {
        StateSection head = new() { Kind = kind, Index = index, Length = (ulong)payload.Length };
        ReadOnlySpan<byte> headBytes = Blittable.AsBytes(ref head);
        _checksum.Add(headBytes);
        _checksum.Add(payload);
        _ready.Write(headBytes);
        _ready.Write(payload);
    }
}
