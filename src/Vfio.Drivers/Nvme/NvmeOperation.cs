using System.Threading.Tasks.Sources;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Drivers.Nvme;

/// <summary>A command of a block device with its buffer; used again for the next.</summary>
/// <remarks>It begins and ends in the lock of <see cref="NvmeOperations"/>: the next may begin as soon as this one is seen to be
/// over.</remarks>
internal sealed class NvmeOperation(int index, DmaBuffer buffer, long bufferOffset) : IValueTaskSource
{
    private readonly ManualResetEventSlim _ended = new(false);
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private NvmeStatus _status;

    /// <summary>Which of its device's.</summary>
    internal int Index => index;

    internal byte Opcode { get; private set; }

    /// <summary>Where on the device it starts, in bytes.</summary>
    internal long At { get; private set; }

    /// <summary>How many bytes it moves.</summary>
    internal int Bytes { get; private set; }

    /// <summary>When it is given up.</summary>
    internal Deadline End { get; private set; }

    /// <summary>The operation of the same call that starts after it.</summary>
    internal NvmeOperation? Next { get; set; }

    internal bool HasEnded => _ended.IsSet;

    internal DmaBuffer Buffer => buffer;

    internal long BufferOffset => bufferOffset;

    internal void Begin(byte opcode, long at, int bytes, TimeSpan timeout)
    {
        _core.Reset();
        _ended.Reset();
        (Opcode, At, Bytes) = (opcode, at, bytes);
        End = new Deadline(timeout);
    }

    internal void Complete(NvmeStatus status)
    {
        _status = status;
        _core.SetResult(true);
        _ended.Set();
    }

    internal void Fail(Exception reason)
    {
        _core.SetException(reason);
        _ended.Set();
    }

    /// <summary>Sleeps until it is over.</summary>
    internal void Sleep() => _ended.Wait();

    /// <summary>Completes when it is over; awaited once.</summary>
    internal ValueTask WaitAsync() => new(this, _core.Version);

    /// <summary>Throws when the controller could not do it, or is not there any more.</summary>
    internal void ThrowIfFailed(string target)
    {
        _core.GetResult(_core.Version);
        if (!_status.IsSuccess)
            throw new VfioException(Describe(), target, _status.Errno, _status.ToString());
    }

    /// <inheritdoc/>
    void IValueTaskSource.GetResult(short token)
    {
        // Whoever awaited asks ThrowIfFailed next, which needs the result as well.
    }

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private string Describe() => Opcode switch
    {
        NvmeOpcode.Read => $"read of {Bytes} bytes at {At}",
        NvmeOpcode.Write => $"write of {Bytes} bytes at {At}",
        _ => "flush",
    };
}
