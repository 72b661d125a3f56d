using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>A BAR as memory that another device uses.</summary>
/// <param name="bar">Where it begins.</param>
/// <param name="length">How many bytes.</param>
internal sealed class BarMemory(BarAccess bar, ulong length) : DmaMemory
{
    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination)
    {
        if (!Contains(offset, (ulong)destination.Length))
            return Errno.BadAddress;
        try
        {
            bar.Move((long)offset).Read(destination);
            return Errno.None;
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // Decoding is off, or the device was closed: the mapping may outlive it.
            return Errno.BadAddress;
        }
    }

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (!Contains(offset, (ulong)source.Length))
            return Errno.BadAddress;
        try
        {
            bar.Move((long)offset).Write(source);
            return Errno.None;
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // Decoding is off, or the device was closed: the mapping may outlive it.
            return Errno.BadAddress;
        }
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        // The device is its opener's.
    }

    private bool Contains(ulong offset, ulong count) => offset <= length && count <= length - offset;
}
