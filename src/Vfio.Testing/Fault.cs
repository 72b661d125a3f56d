using Vfio.Testing.Faults;

namespace Vfio.Testing;

/// <summary>A failure of hardware, and when: what a <see cref="FaultyDevice"/> does instead of the device.</summary>
/// <remarks>Each fault counts the events that it can strike, from 1: accesses for <see cref="Unplugs"/>, reads of its register for
/// <see cref="ReadsAs"/>, interrupts for <see cref="LosesInterrupts"/>, and so on. It strikes all of them, unless <see cref="From"/> and
/// <see cref="Times"/> say which.</remarks>
public sealed record Fault
{
    internal static readonly TimeSpan LongestDelay = TimeSpan.FromMinutes(1);

    private Fault(FaultKind kind) => Kind = kind;

    internal FaultKind Kind { get; }

    internal RegionIndex Region { get; private init; }

    internal ulong FirstOffset { get; private init; }

    internal ulong LastOffset { get; private init; }

    internal ulong Value { get; private init; }

    internal Errno Error { get; private init; }

    internal TimeSpan Delay { get; private init; }

    internal long FirstEvent { get; private init; } = 1;

    internal long EventCount { get; private init; } = long.MaxValue;

    /// <summary>The device is pulled out of its slot: reads give ones, writes are lost, no interrupt comes, it does no DMA, and <see
    /// cref="IRemovalNotifier.Removed"/> completes. It does not come back.</summary>
    public static Fault Unplugs() => new(FaultKind.Unplug);

    /// <summary>A register reads as something else.</summary>
    /// <param name="region">The register's region.</param>
    /// <param name="offset">Its offset in bytes; reads that begin there are answered, of any width.</param>
    /// <param name="value">What it reads as, little-endian, cut to the width of the read.</param>
    public static Fault ReadsAs(RegionIndex region, ulong offset, ulong value) =>
        new(FaultKind.Read) { Region = region, FirstOffset = offset, LastOffset = offset, Value = value };

    /// <summary>A register reads as ones, as one that does not answer.</summary>
    /// <inheritdoc cref="ReadsAs"/>
    public static Fault ReadsOnes(RegionIndex region, ulong offset) => ReadsAs(region, offset, ulong.MaxValue);

    /// <summary>Writes of registers are lost.</summary>
    /// <param name="region">The registers' region.</param>
    /// <param name="first">Offset of the first, in bytes.</param>
    /// <param name="last">Offset of the last, in bytes; a write that begins between the two is lost.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="last"/> is below <paramref name="first"/>.</exception>
    public static Fault LosesWrites(RegionIndex region, ulong first, ulong last)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(last, first);
        return new(FaultKind.LoseWrite) { Region = region, FirstOffset = first, LastOffset = last };
    }

    /// <summary>Interrupts do not come, of any kind and vector.</summary>
    public static Fault LosesInterrupts() => new(FaultKind.LoseInterrupt);

    /// <summary>Interrupts come late, of any kind and vector.</summary>
    /// <param name="delay">How late; up to a minute.</param>
    /// <exception cref="ArgumentOutOfRangeException">The delay is not positive, or longer.</exception>
    public static Fault DelaysInterrupts(TimeSpan delay)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(delay, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(delay, LongestDelay);
        return new(FaultKind.LateInterrupt) { Delay = delay };
    }

    /// <summary>Memory cannot be mapped for DMA.</summary>
    /// <param name="error">The errno; ENOMEM, as where a limit is reached, unless given.</param>
    public static Fault RefusesDma(Errno error = Errno.NoMemory) => new(FaultKind.RefuseDma) { Error = error };

    /// <summary>The device does not reset.</summary>
    /// <param name="error">The errno; EIO unless given.</param>
    public static Fault FailsReset(Errno error = Errno.InputOutput) => new(FaultKind.FailReset) { Error = error };

    /// <summary>Reads a fault from text: <c>unplug@1000</c>, <c>read=bar0:0x1c</c>, <c>read=bar0:0x1c=0x3</c>,
    /// <c>lose-write=bar0:0x1000-0x1fff</c>, <c>lose-interrupt@3+1</c>, <c>late-interrupt=20ms</c>, <c>refuse-dma=ENOMEM@2</c>,
    /// <c>fail-reset</c>.</summary>
    /// <param name="text">The fault; after <c>@</c> the first event that it strikes, after <c>+</c> how many.</param>
    /// <exception cref="FormatException">It is no fault; the message says why, and what is right.</exception>
    public static Fault Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return FaultText.TryParse(text, out Fault? fault, out string? why) ? fault : throw new FormatException(FaultText.Hint(why));
    }

    /// <summary>The same from a later event on.</summary>
    /// <param name="first">The first event that it strikes, from 1.</param>
    public Fault From(long first)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(first);
        return this with { FirstEvent = first };
    }

    /// <summary>The same for so many events only.</summary>
    /// <param name="count">How many, from 1.</param>
    public Fault Times(long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return this with { EventCount = count };
    }

    internal bool Strikes(long number) => number >= FirstEvent && number - FirstEvent < EventCount;
}
