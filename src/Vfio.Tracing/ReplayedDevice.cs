using System.Diagnostics.CodeAnalysis;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Tracing.Recording;
using Vfio.Tracing.Replay;

namespace Vfio.Tracing;

/// <summary>A recorded device, which answers a driver as it did when it was recorded.</summary>
/// <remarks>
/// <para>Reads give what they gave. After an access come the interrupts and the device's writes to memory that came after it in the
/// recording, at
/// once and before the access returns. A driver that does something else than was recorded gets EPROTO, and <see cref="Difference"/> says
/// what
/// it did, what the recording has there, and what was before and after.</para>
/// <para>Any thread may use it. A driver whose threads race is replayed in the order in which they were recorded, or by
/// <see cref="ReplayMode.Register"/>.</para>
/// </remarks>
public sealed class ReplayedDevice : IVfioDevice
{
    private readonly Lock _lock = new();
    private readonly RecordedSession _session;
    private readonly ReplayMode _mode;
    private readonly RegisterNames _names;
    private readonly Action<string>? _told;
    private readonly Script _script;
    private readonly List<DmaMapping> _mappings = [];
    private readonly Dictionary<(uint Index, int Vector), EventFd> _events = [];
    private bool _isBegun, _isDisposed;

    internal ReplayedDevice(RecordedSession session, ReplayMode mode, string name, RegisterNames names, Action<string>? told)
    {
        (_session, _mode, Name, _names, _told) = (session, mode, name, names, told);
        _script = new Script(session.Events, mode, names);
    }

    /// <summary>Called when it is closed, and nothing of the recording was asked for.</summary>
    internal Action? Unused { get; init; }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public DeviceInfo Info => _session.Info;

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => _session.Ranges.Count > 0 ? _session.Ranges : IovaRange.Default;

    /// <summary>The first thing that the driver did and the recording has not; null while there is none.</summary>
    public string? Difference { get; private set; }

    /// <summary>How much of the recording the driver did not ask for by now, in accesses and calls; 0 at the end of the same run. Not
    /// counted by
    /// <see cref="ReplayMode.Register"/>.</summary>
    public int Left
    {
        get
        {
            lock (_lock)
                return _mode == ReplayMode.Register ? 0 : _script.Left;
        }
    }

    /// <summary>Opens a recording.</summary>
    /// <param name="path">The file, of <c>vfio record</c> or a <see cref="DeviceTrace"/> with <see cref="TraceOptions.SeesDma"/> and
    /// <see cref="TraceOptions.MaxDataBytes"/>.</param>
    /// <param name="mode">How closely the driver has to follow.</param>
    /// <param name="session">Which session of it, from 1; 0 for the first in which a driver accessed a register, and did more than to look
    /// at config space once.</param>
    /// <exception cref="VfioException">It is no recording, or has no such session.</exception>
    public static ReplayedDevice Open(string path, ReplayMode mode = ReplayMode.Strict, int session = 0) =>
        new ReplaySource(path, mode, session, null).Open();

    /// <inheritdoc/>
    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        feature = null;
        return false;
    }

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => region.Value < Info.RegionCount
        ? _session.Regions.GetValueOrDefault(region.Value, RegionInfo.Absent(region))
        : throw new VfioException("DEVICE_GET_REGION_INFO", Name, Errno.InvalidArgument, "there is no such region");

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index) => index.Value < Info.InterruptCount
        ? _session.Interrupts.GetValueOrDefault(index.Value, new InterruptInfo(index, 0, InterruptFlags.None))
        : throw new VfioException("DEVICE_GET_IRQ_INFO", Name, Errno.InvalidArgument, "there is no such kind of interrupt");

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (Read(region, offset, destination) is { } refusal)
            throw refusal;
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        ulong value = 0;
        if (source.Length <= sizeof(ulong))
            source.CopyTo(Blittable.AsBytes(ref value));
        lock (_lock)
        {
            UserAction action = new(TraceEventKind.Write, region.Value, offset, (uint)source.Length, value);
            TraceEvent one = Answer(action, out int index);
            if (source.Length > sizeof(ulong))
                CheckData(one, source, $"writes other bytes to {Text.TraceText.Register(region, offset, _names)}");
            Finish(index);
        }
    }

    /// <inheritdoc/>
    public void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        // What refused the call was recorded with each of its reads.
        VfioException? first = null;
        for (int i = 0; i < reads.Length; i++)
        {
            values[i] = 0;
            VfioException? refusal = Read(reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width]);
            first ??= refusal;
        }

        if (first is not null)
            throw first;
    }

    private VfioException? Read(RegionIndex region, ulong offset, Span<byte> destination)
    {
        lock (_lock)
        {
            TraceEvent one = Answer(new UserAction(TraceEventKind.Read, region.Value, offset, (uint)destination.Length, 0), out int index);
            if (index == Script.Free)
            {
                _session.Config.Span.CopyTo(destination);
                return null;
            }

            if (destination.Length <= sizeof(ulong))
            {
                ulong value = one.Value;
                Blittable.AsBytes(ref value)[..destination.Length].CopyTo(destination);
            }
            else if (one.Data.Length == destination.Length)
            {
                one.Data.Span.CopyTo(destination);
            }
            else if (one.Error == Errno.None)
            {
                throw Differ($"the recording does not keep the bytes of event {one.Index}, a read of {one.Length}: record with 'vfio record'");
            }

            Play(index);
            return RefusalOf(index);
        }
    }

    /// <inheritdoc/>
    public void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            WriteRegion(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => [];

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request)
    {
        UserAction action = new(
            TraceEventKind.SetInterrupts, request.Index.Value, (ulong)request.Start, (uint)request.Count, (ulong)request.Action | (ulong)request.Data << 8);
        lock (_lock)
        {
            TraceEvent one = Answer(action, out int index);

            // By register, interrupts may be set up in another way.
            if (request.Data != InterruptData.None && _mode != ReplayMode.Register)
            {
                Span<byte> meant = stackalloc byte[VectorFlags.CountOf(request)];
                VectorFlags.Write(request, meant);
                CheckData(one, meant, $"chooses other vectors of {request.Index}");
            }

            // Before what followed, which may be an interrupt.
            if (RefusalOf(index) is null)
                Bind(request);
            Finish(index);
        }
    }

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        lock (_lock)
        {
            Answer(new UserAction(TraceEventKind.Map, (uint)mapping.Access, mapping.Start.Value, 0, mapping.Length), out int index);
            if (RefusalOf(index) is null)
            {
                mapping.Memory.AddReference();
                _mappings.Add(mapping);
            }

            Finish(index);
        }
    }

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length)
    {
        lock (_lock)
        {
            Answer(new UserAction(TraceEventKind.Unmap, 0, start.Value, 0, length), out int index);
            Finish(index);
            return Unmap(mapping => mapping.Start >= start && mapping.Start.Value - start.Value < length);
        }
    }

    /// <inheritdoc/>
    public void UnmapAllDma()
    {
        lock (_lock)
        {
            Answer(new UserAction(TraceEventKind.UnmapAll, 0, 0, 0, 0), out int index);
            Finish(index);
            Unmap(_ => true);
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock)
        {
            Answer(new UserAction(TraceEventKind.Reset, 0, 0, 0, 0), out int index);
            Finish(index);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            bool isUnused = !_isBegun && !_isDisposed;
            _isDisposed = true;
            if (isUnused)
                Unused?.Invoke();
            Unmap(_ => true);
            foreach (EventFd bound in _events.Values)
                bound.Dispose();
            _events.Clear();
        }
    }

    private TraceEvent Answer(in UserAction action, out int index)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        List<int> skipped = [];
        index = _script.Find(action, skipped);
        if (index < 0 && !_isBegun && _session.IsLook(action))
            index = Script.Free;
        if (index == Script.Free)
            return default;
        if (index < 0)
            throw Differ(_script.Difference(action));
        _isBegun = true;
        foreach (int effect in skipped)
            Play(_script[effect]);
        return _script[index];
    }

    private VfioException Differ(string difference)
    {
        if (Difference is null)
        {
            Difference = difference;
            _told?.Invoke(difference);
        }

        return new VfioException("replaying", Name, Errno.Protocol, difference);
    }

    private void CheckData(in TraceEvent one, ReadOnlySpan<byte> data, string what)
    {
        if (one.Data.Length != data.Length)
        {
            throw Differ($"the recording keeps {one.Data.Length} bytes of event {one.Index}, where the driver has {data.Length}, so they cannot be compared: "
                + "record with 'vfio record'");
        }

        if (!one.Data.Span.SequenceEqual(data))
            throw Differ($"the driver {what} than in event {one.Index}");
    }

    /// <summary>What the device refused an event of the driver with; null for what it did not refuse.</summary>
    private VfioException? RefusalOf(int index)
    {
        if (index == Script.Free)
            return null;
        TraceEvent cause = _script[index];
        Errno errno = cause.Error;

        // A read has its error itself.
        if (cause.Kind != TraceEventKind.Read)
        {
            errno = _script.EffectsOf(index)
                .FirstOrDefault(effect => effect.Kind == TraceEventKind.Error && effect.Value == (ulong)cause.Kind && effect.Thread == cause.Thread).Error;
        }

        return errno == Errno.None ? null
            : new VfioException(Text.TraceText.NameOf(cause.Kind), Name, errno, $"as in event {cause.Index} of the recording");
    }

    /// <summary>Does what the device did after an event of the driver, and refuses what it refused.</summary>
    private void Finish(int index)
    {
        Play(index);
        if (RefusalOf(index) is { } refusal)
            throw refusal;
    }

    /// <summary>Does what the device did after an event of the driver.</summary>
    private void Play(int index)
    {
        if (index == Script.Free)
            return;

        // Into a list: what is played may differ, and what is released is released all the same.
        if (_mode == ReplayMode.Register)
            Play(_script.Release(index).ToList());
        else if (_script.BeginEffects(index))
            Play(_script.EffectsOf(index));
    }

    private void Play(IEnumerable<TraceEvent> effects)
    {
        TraceEvent? waiting = null;
        foreach (TraceEvent effect in effects)
        {
            // The error of a write to memory comes after it: such a write changed nothing.
            bool isRefusal = waiting is { } write && effect.Kind == TraceEventKind.Error && effect.Value == (ulong)TraceEventKind.DmaWrite
                && effect.Place == write.Place && effect.Thread == write.Thread;
            if (waiting is { } made && !isRefusal)
                Play(made);
            waiting = isRefusal ? null : effect;
        }

        if (waiting is { } last)
            Play(last);
    }

    private void Play(in TraceEvent effect)
    {
        if (effect.Kind == TraceEventKind.Interrupt && _events.TryGetValue((effect.Number, (int)Math.Min(effect.Place, int.MaxValue)), out EventFd? bound))
            bound.Signal();
        else if (effect.Kind == TraceEventKind.DmaWrite)
            WriteMemory(effect);
    }

    private void WriteMemory(in TraceEvent effect)
    {
        ulong value = effect.Value;
        bool isShort = effect.Length <= sizeof(ulong);
        if (effect.IsRedacted || (!isShort && effect.Data.Length != effect.Length))
        {
            throw Differ($"the recording does not keep what the device wrote in event {effect.Index}, {effect.Length} bytes to 0x{effect.Place:x}: "
                + "record with 'vfio record', without --redact-dma");
        }

        ReadOnlySpan<byte> bytes = isShort ? Blittable.AsBytes(ref value)[..(int)effect.Length] : effect.Data.Span;
        ulong place = effect.Place;
        while (!bytes.IsEmpty)
        {
            DmaMapping? found = null;
            foreach (DmaMapping mapping in _mappings)
            {
                if (mapping.Access.HasFlag(DmaAccess.Write) && place >= mapping.Start.Value && place - mapping.Start.Value < mapping.Length)
                    found = mapping;
            }

            if (found is not { } into)
                throw Differ($"the driver has not mapped 0x{place:x} for writes, where the device wrote in event {effect.Index}");
            int count = (int)Math.Min((ulong)bytes.Length, into.Length - (place - into.Start.Value));
            Errno error = into.Memory.Write(into.MemoryOffset + (place - into.Start.Value), bytes[..count]);
            if (error != Errno.None)
                throw Differ($"the driver's memory at 0x{place:x}, where the device wrote in event {effect.Index}, cannot be written: {error}");
            bytes = bytes[count..];
            place += (ulong)count;
        }
    }

    private ulong Unmap(Predicate<DmaMapping> which)
    {
        ulong bytes = 0;
        foreach (DmaMapping mapping in _mappings.FindAll(which))
        {
            bytes += mapping.Length;
            mapping.Memory.Release();
        }

        _mappings.RemoveAll(which);
        return bytes;
    }

    private void Bind(in InterruptRequest request)
    {
        if (request.IsDisable)
        {
            uint kind = request.Index.Value;
            foreach ((uint, int) key in _events.Keys.Where(key => key.Index == kind).ToArray())
                Replace(key, null);
        }
        else if (request is { Action: InterruptAction.Trigger, Data: InterruptData.Events })
        {
            for (int i = 0; i < request.Count; i++)
                Replace((request.Index.Value, request.Start + i), request.Events[i] is { } descriptor ? EventFd.TryHold(descriptor) : null);
        }
    }

    private void Replace((uint, int) key, EventFd? bound)
    {
        if (_events.Remove(key, out EventFd? old))
            old.Dispose();
        if (bound is not null)
            _events.Add(key, bound);
    }
}
