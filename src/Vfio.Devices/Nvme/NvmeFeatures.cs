using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>The features of an enabled controller: what Set Features changes and Get Features returns. For the admin queue's thread.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.27.1, and NVM Command Set Specification 1.0, section 4.1.3. None can be saved.</remarks>
internal sealed class NvmeFeatures
{
    internal const int Arbitration = 0x01, PowerManagement = 0x02, TemperatureThreshold = 0x04, ErrorRecovery = 0x05, WriteCache = 0x06,
        NumberOfQueues = 0x07, InterruptCoalescing = 0x08, InterruptVector = 0x09, WriteAtomicity = 0x0a, EventConfiguration = 0x0b,
        Timestamp = 0x0e, KeepAlive = 0x0f, HostBehavior = 0x16, CommandSetProfile = 0x19;

    /// <summary>Bytes that a feature has besides CDW11.</summary>
    internal const int TimestampBytes = 8, HostBehaviorBytes = 512;

    /// <summary>The events that can be asked for: each critical warning, and changed namespaces.</summary>
    private const uint Events = 0x11f;

    /// <summary>OAES in Identify Controller: changed namespaces.</summary>
    internal const uint OptionalEvents = 0x100;

    private const uint TemperatureWarning = 0x02;
    private readonly NvmeEngine _controller;
    private readonly uint[] _values = new uint[256];
    private readonly bool[] _isCoalescingDisabled = new bool[NvmeEngine.IoQueues + 1];
    private readonly byte[] _hostBehavior = new byte[HostBehaviorBytes];
    private int _over = NvmeHealth.WarningTemperature;
    private int _under;
    private long _timestamp;
    private long _timestampSetAt;
    private bool _isTimestampSet;

    internal NvmeFeatures(NvmeEngine controller)
    {
        _controller = controller;
        _timestampSetAt = controller.Drive.Clock.GetTimestamp();
    }

    /// <summary>Number of Queues: counts less one.</summary>
    internal static uint QueueCounts => (NvmeEngine.IoQueues - 1) << 16 | (NvmeEngine.IoQueues - 1);

    /// <summary>Critical Warning of the SMART log.</summary>
    internal byte Warnings => (byte)((IsTemperatureOut ? TemperatureWarning : 0u) | (_controller.Drive.Disk.HasFailed ? 0x04u : 0));

    private bool IsTemperatureOut => NvmeHealth.Temperature >= _over || NvmeHealth.Temperature <= _under;

    /// <summary>Whether it has a feature.</summary>
    internal bool Has(int feature) =>
        feature is Arbitration or PowerManagement or TemperatureThreshold or ErrorRecovery or NumberOfQueues or InterruptCoalescing
            or InterruptVector or WriteAtomicity or EventConfiguration or Timestamp or KeepAlive or HostBehavior or CommandSetProfile
        || (feature == WriteCache && HasCacheToControl);

    /// <summary>Whether an event of a kind was asked for: a bit of Asynchronous Event Configuration.</summary>
    internal bool IsWanted(uint kind) => (_values[EventConfiguration] & kind) != 0;

    /// <summary>Whether writes are cached, so that the driver has to flush: not by a disk that is not written.</summary>
    internal bool HasCacheToControl => !_controller.Drive.Disk.IsReadOnly;

    /// <summary>How many bytes Set Features and Get Features move; 0 for most.</summary>
    internal static int DataBytes(int feature) => feature switch { Timestamp => TimestampBytes, HostBehavior => HostBehaviorBytes, _ => 0 };

    /// <summary>Sets a feature.</summary>
    /// <param name="command">The command.</param>
    /// <param name="data">The feature's bytes, where it has some.</param>
    internal NvmeOutcome Set(in NvmeCommand command, ReadOnlySpan<byte> data)
    {
        int feature = (int)(command.Dword10 & 0xff);
        uint value = command.Dword11;
        if (command.NamespaceId is not (0 or uint.MaxValue) && feature != ErrorRecovery)
            return NvmeOutcome.NotNamespaceSpecific;
        switch (feature)
        {
            case TemperatureThreshold:
                return SetTemperature(value);
            case NumberOfQueues:
                // Both counts are less one, and 65535 is reserved.
                return (value & 0xffff) == 0xffff || value >> 16 == 0xffff ? NvmeOutcome.InvalidField
                    : _controller.HasQueues ? NvmeOutcome.SequenceError
                    : new NvmeOutcome(0, QueueCounts);
            case WriteCache:
                return (value & ~1u) != 0 ? NvmeOutcome.InvalidField : SetWriteCache(value != 0, command.Id);
            case InterruptVector:
                if ((value & 0xffff) > NvmeEngine.IoQueues)
                    return NvmeOutcome.InvalidField;
                _isCoalescingDisabled[value & 0xffff] = (value >> 16 & 1) != 0;
                return NvmeOutcome.Success;
            case Timestamp:
                _timestamp = BinaryPrimitives.ReadInt64LittleEndian(data) & 0xffff_ffff_ffff;
                _timestampSetAt = _controller.Drive.Clock.GetTimestamp();
                _isTimestampSet = true;
                return NvmeOutcome.Success;
            case KeepAlive:
                _controller.KeepAlive.Milliseconds = value;
                return NvmeOutcome.Success;
            case HostBehavior:
                // Byte 0, Advanced Command Retry Enable: there are no delays to be told of. No other behavior is offered.
                if (data[0] > 1 || data[1..].ContainsAnyExcept((byte)0))
                    return NvmeOutcome.InvalidField;
                data.CopyTo(_hostBehavior);
                return NvmeOutcome.Success;
            case CommandSetProfile:
                return (value & 0x1ff) != 0 ? NvmeOutcome.CombinationRejected : NvmeOutcome.Success;
            default:
                if ((value & ~SettableBits(feature)) != 0)
                    return NvmeOutcome.InvalidField;
                _values[feature] = value;
                return NvmeOutcome.Success;
        }
    }

    /// <summary>Gets a feature.</summary>
    /// <param name="command">The command.</param>
    /// <param name="data">Receives the feature's bytes, where it has some.</param>
    internal NvmeOutcome Get(in NvmeCommand command, Span<byte> data)
    {
        const int Current = 0, Default = 1, Saved = 2, Supported = 3;
        const uint Changeable = 4;
        int feature = (int)(command.Dword10 & 0xff);
        int selection = (int)(command.Dword10 >> 8 & 7);
        data.Clear();
        bool isDefault = selection is Default or Saved;
        return selection switch
        {
            Supported => new NvmeOutcome(0, feature is NumberOfQueues or CommandSetProfile ? 0 : Changeable),
            Current or Default or Saved => feature switch
            {
                TemperatureThreshold => GetTemperature(command.Dword11, isDefault),
                NumberOfQueues => new NvmeOutcome(0, QueueCounts),
                WriteCache => new NvmeOutcome(0, isDefault || _controller.HasWriteCache ? 1u : 0),
                InterruptVector => GetVector(command.Dword11, isDefault),
                KeepAlive => new NvmeOutcome(0, isDefault ? 0 : _controller.KeepAlive.Milliseconds),
                Timestamp => WriteTimestamp(data, isDefault),
                HostBehavior => Copy(isDefault ? new byte[HostBehaviorBytes] : _hostBehavior, data),
                CommandSetProfile => NvmeOutcome.Success,
                _ => new NvmeOutcome(0, isDefault ? 0 : _values[feature]),
            },
            _ => NvmeOutcome.InvalidField,
        };
    }

    /// <summary>Saves them.</summary>
    internal void Save(StateWriter state)
    {
        foreach (uint value in _values)
            state.Write(value);
        foreach (bool isDisabled in _isCoalescingDisabled)
            state.Write(isDisabled);
        state.Write(_hostBehavior);
        state.Write(_over);
        state.Write(_under);
        state.Write(_timestamp + (long)_controller.Drive.Clock.GetElapsedTime(_timestampSetAt).TotalMilliseconds);
        state.Write(_isTimestampSet);
        state.Write(_controller.KeepAlive.Milliseconds);
    }

    /// <summary>Restores what <see cref="Save"/> wrote: values of no effect besides what Get Features returns.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        for (int i = 0; i < _values.Length; i++)
        {
            if (!state.TryRead(out _values[i]))
                return false;
        }

        for (int i = 0; i < _isCoalescingDisabled.Length; i++)
        {
            if (!state.TryRead(out byte isDisabled))
                return false;
            _isCoalescingDisabled[i] = isDisabled != 0;
        }

        if (!state.TryRead(_hostBehavior.Length, out ReadOnlySpan<byte> behavior) || !state.TryRead(out _over) || !state.TryRead(out _under)
            || !state.TryRead(out _timestamp) || !state.TryRead(out byte isTimestampSet) || !state.TryRead(out uint keepAlive))
        {
            return false;
        }

        behavior.CopyTo(_hostBehavior);
        _isTimestampSet = isTimestampSet != 0;
        _controller.KeepAlive.Milliseconds = keepAlive;
        return true;
    }

    private static NvmeOutcome Copy(byte[] from, Span<byte> to)
    {
        from.CopyTo(to);
        return NvmeOutcome.Success;
    }

    /// <summary>The bits of CDW11 that a feature has; one of another value is nonsense.</summary>
    private static uint SettableBits(int feature) => feature switch
    {
        Arbitration => 0xffff_ff07,      // weights and burst: of no effect with round robin
        PowerManagement => 0xe0,         // the workload's hint; there is one power state, 0
        ErrorRecovery => 0xffff,         // without DULBE: deallocated blocks are zeros and no error
        InterruptCoalescing => 0xffff,
        WriteAtomicity => 0x1,
        EventConfiguration => Events,
        _ => 0,
    };

    private NvmeOutcome SetWriteCache(bool isOn, ushort command)
    {
        bool needsFlush = !isOn && _controller.Drive.Disk.MayWait;
        if (needsFlush && _controller.Long.IsFull)
            return NvmeOutcome.SequenceError;
        _controller.HasWriteCache = isOn;

        // Also when it is off: the flush of the command that turned it off may be under way, or be lost with a move.
        if (!needsFlush)
            return NvmeOutcome.Success;

        // What is in the cache is durable before the command is over; it is completed after the flush.
        _controller.Long.TurnCacheOff(command);
        return NvmeOutcome.Kept;
    }

    private NvmeOutcome SetTemperature(uint value)
    {
        const int Log = 2, ThresholdEvent = 1, AllSensors = 0xf;
        int sensor = (int)(value >> 16 & 0xf);
        int kind = (int)(value >> 20 & 3);

        // Of the composite temperature alone: there are no sensors.
        if (sensor is not (0 or AllSensors) || kind > 1 || value >> 22 != 0)
            return NvmeOutcome.InvalidField;
        if (kind == 0)
            _over = (int)(value & 0xffff);
        else
            _under = (int)(value & 0xffff);
        if (IsTemperatureOut && IsWanted(TemperatureWarning))
            _controller.Raise(NvmeEvents.Smart, ThresholdEvent, Log);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome GetTemperature(uint value, bool isDefault)
    {
        if ((value >> 16 & 0xf) != 0 || (value >> 20 & 3) > 1)
            return NvmeOutcome.InvalidField;
        bool isOver = (value >> 20 & 3) == 0;
        return new NvmeOutcome(0, (uint)(isOver ? (isDefault ? NvmeHealth.WarningTemperature : _over) : isDefault ? 0 : _under));
    }

    private NvmeOutcome GetVector(uint value, bool isDefault)
    {
        uint vector = value & 0xffff;
        if (vector > NvmeEngine.IoQueues)
            return NvmeOutcome.InvalidField;
        bool isDisabled = !isDefault && _isCoalescingDisabled[vector];
        return new NvmeOutcome(0, vector | (isDisabled ? 1u << 16 : 0));
    }

    private NvmeOutcome WriteTimestamp(Span<byte> data, bool isDefault)
    {
        const ulong SetByHost = 1UL << 49;
        TimeSpan since = _controller.Drive.Clock.GetElapsedTime(_timestampSetAt);
        ulong now = (ulong)(_timestamp + (long)since.TotalMilliseconds) & 0xffff_ffff_ffff;
        BinaryPrimitives.WriteUInt64LittleEndian(data, isDefault ? 0 : now | (_isTimestampSet ? SetByHost : 0));
        return NvmeOutcome.Success;
    }
}
