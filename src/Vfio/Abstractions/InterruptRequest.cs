using Vfio.Native;

namespace Vfio;

/// <summary>What to do with a range of interrupt vectors; VFIO_DEVICE_SET_IRQS.</summary>
/// <remarks>Lives on the stack and its spans are valid for one call. A device that keeps a descriptor takes a reference of its own.</remarks>
public readonly ref struct InterruptRequest
{
    private InterruptRequest(InterruptIndex index, InterruptAction action, InterruptData data, int start, int count)
    {
        Index = index;
        Action = action;
        Data = data;
        Start = start;
        Count = count;
    }

    /// <summary>Which kind of interrupt.</summary>
    public InterruptIndex Index { get; }

    /// <summary>What to do.</summary>
    public InterruptAction Action { get; }

    /// <summary>How the vectors are selected, or what is bound to them.</summary>
    public InterruptData Data { get; }

    /// <summary>The first vector.</summary>
    public int Start { get; }

    /// <summary>How many vectors.</summary>
    public int Count { get; }

    /// <summary>With <see cref="InterruptData.Events"/>: one for each vector; null unbinds the vector's eventfd.</summary>
    public ReadOnlySpan<FileDescriptor?> Events { get; private init; }

    /// <summary>With <see cref="InterruptData.Bools"/>: one byte for each vector; the action is done where it is not 0.</summary>
    public ReadOnlySpan<byte> Bools { get; private init; }

    /// <summary>Whether this disables the whole kind of interrupt: trigger, no data, no vectors.</summary>
    public bool IsDisable => this is { Action: InterruptAction.Trigger, Data: InterruptData.None, Count: 0 };

    /// <summary>Does the action for every vector of the range.</summary>
    public static InterruptRequest ForAll(InterruptIndex index, InterruptAction action, int start, int count) =>
        new(index, action, InterruptData.None, start, count);

    /// <summary>Does the action for the vectors whose byte is not 0.</summary>
    public static InterruptRequest ForSome(InterruptIndex index, InterruptAction action, int start, ReadOnlySpan<byte> bools) =>
        new(index, action, InterruptData.Bools, start, bools.Length) { Bools = bools };

    /// <summary>Binds an eventfd to each vector: <see cref="InterruptAction.Trigger"/> signals it when the vector fires,
    /// <see cref="InterruptAction.Mask"/> and <see cref="InterruptAction.Unmask"/> are done when somebody signals it.</summary>
    public static InterruptRequest Bind(InterruptIndex index, InterruptAction action, int start, ReadOnlySpan<FileDescriptor?> events) =>
        new(index, action, InterruptData.Events, start, events.Length) { Events = events };

    /// <summary>Unbinds all eventfds of a kind of interrupt and disables it.</summary>
    public static InterruptRequest Disable(InterruptIndex index) => ForAll(index, InterruptAction.Trigger, 0, 0);
}

/// <summary>VFIO_IRQ_SET_ACTION_* of <c>linux/vfio.h</c>.</summary>
public enum InterruptAction
{
    /// <summary>Mask the vector.</summary>
    Mask,

    /// <summary>Unmask the vector.</summary>
    Unmask,

    /// <summary>Fire the vector, or bind what it signals.</summary>
    Trigger,
}

/// <summary>VFIO_IRQ_SET_DATA_* of <c>linux/vfio.h</c>.</summary>
public enum InterruptData
{
    /// <summary>Every vector of the range.</summary>
    None,

    /// <summary>The vectors whose byte is not 0.</summary>
    Bools,

    /// <summary>An eventfd for each vector.</summary>
    Events,
}
