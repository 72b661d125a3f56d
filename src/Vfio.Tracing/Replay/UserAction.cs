namespace Vfio.Tracing.Replay;

/// <summary>What a driver does, as a recording has it.</summary>
internal readonly record struct UserAction(TraceEventKind Kind, uint Number, ulong Place, uint Length, ulong Value)
{
    /// <summary>Which register, or which kind of call, it is about.</summary>
    internal (TraceEventKind Kind, uint Number, ulong Place, uint Length) Key => (Kind, Number, Place, Length);

    internal static UserAction Of(in TraceEvent one) => new(one.Kind, one.Number, one.Place, one.Length, one.Kind == TraceEventKind.Read ? 0 : one.Value);

    /// <summary>As text, with the register's name.</summary>
    internal string Describe(RegisterNames names)
    {
        string register = $"{Text.TraceText.Register(new RegionIndex(Number), Place, names)}";
        string value = Length <= sizeof(ulong) ? $"0x{Value.ToString($"x{2 * Math.Max(Length, 1)}")}" : $"{Length} bytes";
        return Kind switch
        {
            TraceEventKind.Read => $"reads {Length} bytes of {register}",
            TraceEventKind.Write => $"writes {value} to {register}",
            TraceEventKind.Map => $"maps 0x{Value:x} bytes at 0x{Place:x}",
            TraceEventKind.Unmap => $"unmaps 0x{Value:x} bytes at 0x{Place:x}",
            TraceEventKind.UnmapAll => "unmaps all memory",
            TraceEventKind.SetInterrupts => $"sets {Length} vectors of {new InterruptIndex(Number)} from {Place} on (action {Value & 0xff})",
            TraceEventKind.Reset => "resets the device",
            _ => Text.TraceText.NameOf(Kind),
        };
    }
}
