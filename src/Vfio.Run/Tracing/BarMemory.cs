using Vfio.Native;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>A BAR that a program has mapped, and mapped for DMA: what a device writes there is written to the registers of the BAR's
/// device.</summary>
/// <param name="bar">Where the memory begins.</param>
/// <param name="length">How many bytes.</param>
internal sealed class BarMemory(BarAccess bar, ulong length) : DmaMemory
{
    /// <summary>Finds it.</summary>
    /// <param name="thread">A thread of the process that has it mapped.</param>
    /// <param name="address">First address.</param>
    /// <param name="length">How many bytes; the range does not wrap.</param>
    /// <param name="files">The files of the interface.</param>
    /// <returns>Null when part of the range is not of one BAR.</returns>
    internal static BarMemory? Find(int thread, ulong address, ulong length, OpenFiles files)
    {
        BarAccess? first = null;
        for (ulong done = 0; done < length;)
        {
            if (!AddressMap.TryFind(thread, address + done, out MappedArea area) || files.Find(area.File) is not { } file)
                return null;
            ulong bytes = Math.Min(length - done, area.End - (address + done));
            ServedMapping mapping = file.Map(area.Offset + (address + done - area.Start), bytes, area.IsWritable);
            if (mapping.Device is null)
                return null;
            BarAccess piece = new(mapping.Device, mapping.Region, mapping.Offset);
            first ??= piece;
            if (piece != first.Value.Move((long)done))
                return null;
            done += bytes;
        }

        return first is { } found ? new BarMemory(found, length) : null;
    }

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
            return Errno.BadAddress;
        }
    }

    /// <inheritdoc/>
    protected override void Free()
    {
    }

    private bool Contains(ulong offset, ulong count) => offset <= length && count <= length - offset;
}
