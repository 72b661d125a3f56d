using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>The sanitize operation, which resets do not end, and log page 81h about it. Any thread.</summary>
/// <remarks>NVM Express Base Specification 2.0, sections 5.24 and 5.16.1.25.</remarks>
internal sealed class NvmeSanitize
{
    private const int Never = 0, Completed = 1, Running = 2, Failed = 3;
    private volatile int _state = Never;
    private volatile uint _request;

    /// <summary>Whether one is under way.</summary>
    internal bool IsRunning => _state == Running;

    /// <summary>Whether the last one failed: commands for data are refused until another succeeds, or the driver gives up.</summary>
    internal bool HasFailed => _state == Failed;

    /// <summary>Begins one.</summary>
    /// <param name="request">CDW10 of the command.</param>
    internal void Begin(uint request)
    {
        _request = request;
        _state = Running;
    }

    /// <summary>Ends it.</summary>
    internal void End(bool isSuccess) => _state = isSuccess ? Completed : Failed;

    /// <summary>Exit Failure Mode: the driver gives up, where the failed command allowed that.</summary>
    internal void GiveUp() => _state = Never;

    /// <summary>Whether the driver may give up: AUSE of the command.</summary>
    internal bool MayGiveUp => (_request & 8) != 0;

    /// <summary>Writes the log page.</summary>
    /// <param name="data">Zeros.</param>
    internal void Write(Span<byte> data)
    {
        const int NoEstimate = -1;
        int state = _state;
        BinaryPrimitives.WriteUInt16LittleEndian(data, state == Running ? (ushort)0 : ushort.MaxValue);
        BinaryPrimitives.WriteUInt16LittleEndian(data[2..], (ushort)state);
        BinaryPrimitives.WriteUInt32LittleEndian(data[4..], _request);
        for (int at = 8; at < 32; at += sizeof(int))
            BinaryPrimitives.WriteInt32LittleEndian(data[at..], NoEstimate);
    }

    /// <summary>Saves the result of the last one.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_state);
        state.Write(_request);
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    /// <param name="state">The state.</param>
    /// <param name="isReadOnly">Whether nothing can be erased: a drive that were to erase itself could never be used.</param>
    internal bool TryRestore(ref StateReader state, bool isReadOnly)
    {
        if (!state.TryRead(out int last) || last is < Never or > Failed || !state.TryRead(out uint request))
            return false;
        if (isReadOnly && last is Running or Failed)
            return false;
        (_state, _request) = (last, request);
        return true;
    }
}
