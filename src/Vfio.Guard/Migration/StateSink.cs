using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Migration;

/// <summary>Receives a state in pieces of any size, and keeps it until it is complete and valid. Only memory is written
/// at once: its user can write it anyway.</summary>
/// <remarks>Every byte is untrusted. What is kept is bounded: by the function's own sizes, and by <see
/// cref="MaxFunctionBytes"/> for the function's own state.</remarks>
internal sealed class StateSink(GuardState guard)
{
    /// <summary>The longest state of a function itself that is accepted, in bytes.</summary>
    internal const int MaxFunctionBytes = 16 << 20;

    private readonly StateWriter _partial = new();
    private readonly MemoryWalk _memory = new(guard.Memory);
    private byte[] _config = [];
    private byte[] _interrupts = [];
    private byte[] _table = [];
    private byte[] _function = [];
    private StateSectionKind _last;
    private Crc32C _checksum;
    private bool _isBroken;

    /// <summary>Whether the state is complete.</summary>
    internal bool IsWhole => _last == StateSectionKind.End && !_isBroken && _partial.Written.Length == 0;

    /// <summary>Receives the next bytes.</summary>
    /// <returns>EINVAL: they are not valid, and no later bytes can be.</returns>
    internal Errno Write(ReadOnlySpan<byte> source)
    {
        while (source.Length > 0 && !_isBroken)
        {
            int count = Math.Min(source.Length, Missing());
            _partial.Write(source[..count]);
            source = source[count..];
            _isBroken = !TakePartial();
        }

        return _isBroken ? Errno.InvalidArgument : Errno.None;
    }

    /// <summary>Restores function and guard from the complete state.</summary>
    /// <returns>False when the function does not accept the state.</returns>
    internal bool TryRestore(IMigratableFunction function)
    {
        if (!function.TryRestore(_function))
            return false;
        guard.Restore(_config, _interrupts, _table);
        return true;
    }

    /// <summary>How many bytes are missing from the header, or after it from the section.</summary>
    private int Missing()
    {
        int have = _partial.Written.Length;
        int head = Blittable.SizeOf<StateSection>();
        return have < head ? head - have : head + (int)Blittable.Read<StateSection>(_partial.Written).Length - have;
    }

    /// <summary>Handles a section once it is complete, and validates its header as soon as that is complete.</summary>
    /// <returns>False when it is not valid.</returns>
    private bool TakePartial()
    {
        int head = Blittable.SizeOf<StateSection>();
        if (!Blittable.TryRead(_partial.Written, out StateSection section))
            return true;
        if (_partial.Written.Length == head && !IsPossible(section))
            return false;
        if ((ulong)(_partial.Written.Length - head) < section.Length)
            return true;
        bool isRight = TryTake(section, _partial.Written[head..]);
        _checksum.Add(_partial.Written);
        _partial.Clear();
        _last = section.Kind;
        return isRight;
    }

    private bool IsPossible(in StateSection section)
    {
        bool isNext = section.Kind == _last + 1
            || (section.Kind == _last && section.Kind == StateSectionKind.Memory)
            || (section.Kind == StateSectionKind.End && _last == StateSectionKind.Function);
        return isNext && (section.Index == 0 || section.Kind == StateSectionKind.Memory) && section.Kind switch
        {
            StateSectionKind.Identity => section.Length == (ulong)guard.Identity.Length,
            StateSectionKind.Config => section.Length == (ulong)guard.ConfigLength,
            StateSectionKind.Interrupts => section.Length == (ulong)guard.InterruptsLength,
            StateSectionKind.MsixTable => section.Length == (ulong)guard.TableLength,
            StateSectionKind.Function => section.Length <= MaxFunctionBytes,
            StateSectionKind.Memory => section.Length is > 8 and <= 8 + StateSource.MemoryPieceBytes,
            StateSectionKind.End => section.Length == sizeof(uint),
            _ => false,
        };
    }

    private bool TryTake(in StateSection section, ReadOnlySpan<byte> payload)
    {
        switch (section.Kind)
        {
            case StateSectionKind.Identity:
                return payload.SequenceEqual(guard.Identity);
            case StateSectionKind.Config:
                _config = payload.ToArray();
                return true;
            case StateSectionKind.Interrupts:
                _interrupts = payload.ToArray();
                return true;
            case StateSectionKind.MsixTable:
                _table = payload.ToArray();
                return true;
            case StateSectionKind.Function:
                _function = payload.ToArray();
                return true;
            case StateSectionKind.Memory:
                return TryTakeMemory(new RegionIndex(section.Index), Blittable.Read<ulong>(payload), payload[8..]);
            default:
                return _memory.IsAtEnd && Blittable.Read<uint>(payload) == _checksum.Value;
        }
    }

    /// <summary>Writes a piece of memory. Pieces come in ascending order, without gaps.</summary>
    private bool TryTakeMemory(RegionIndex region, ulong start, ReadOnlySpan<byte> bytes)
    {
        if (_memory.IsAtEnd || region != _memory.Region || start != _memory.Offset || (ulong)bytes.Length > _memory.Left)
            return false;
        _memory.Advance(bytes.Length);
        guard.ShowMemory();
        return guard.Layout.Function.GetMemory(region)!.TryWrite(start, bytes);
    }
}
