using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Guard.Migration;

/// <summary>Takes a state in, in pieces of any size, and keeps it until all of it is there and right. Only memory goes where it belongs
/// at once: its user can write it anyway.</summary>
/// <remarks>Nothing of what comes in is believed. What is kept is bounded: by the function's own sizes, and by <see
/// cref="MaxFunctionBytes"/> for what only the function knows.</remarks>
internal sealed class StateSink(GuardState guard)
{
    /// <summary>The longest state of a function itself that is taken, in bytes.</summary>
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

    /// <summary>Whether all of a state is there.</summary>
    internal bool IsWhole => _last == StateSectionKind.End && !_isBroken && _partial.Written.Length == 0;

    /// <summary>Takes the next bytes.</summary>
    /// <returns>EINVAL: they cannot be, and nothing that follows can be right any more.</returns>
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

    /// <summary>Gives the state to the function and the guard; all of it is there.</summary>
    /// <returns>False when the function says that this is no state of it.</returns>
    internal bool TryRestore(IMigratableFunction function)
    {
        if (!function.TryRestore(_function))
            return false;
        guard.Restore(_config, _interrupts, _table);
        return true;
    }

    /// <summary>How many bytes the header, or after it the section, still lacks.</summary>
    private int Missing()
    {
        int have = _partial.Written.Length;
        int head = Blittable.SizeOf<StateSection>();
        return have < head ? head - have : head + (int)Blittable.Read<StateSection>(_partial.Written).Length - have;
    }

    /// <summary>Takes a section once it is whole, and looks at its header as soon as that is there.</summary>
    /// <returns>False when it cannot be.</returns>
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

    /// <summary>Memory comes in the order in which it is, without gaps.</summary>
    private bool TryTakeMemory(RegionIndex region, ulong start, ReadOnlySpan<byte> bytes)
    {
        if (_memory.IsAtEnd || region != _memory.Region || start != _memory.Offset || (ulong)bytes.Length > _memory.Left)
            return false;
        _memory.Advance(bytes.Length);
        return guard.Layout.Function.GetMemory(region)!.TryWrite(start, bytes);
    }
}
