using static Vfio.Drivers.Edu.EduRegisters;

namespace Vfio.Drivers.Edu;

/// <summary>The DMA engine: moves bytes between memory and the device's buffer of 4 KiB.</summary>
/// <remarks>The device reports no errors: what the provider refuses simply does not arrive. So what matters is compared.</remarks>
internal sealed class EduDma(PciDevice device, Bar registers, EduEvents events)
{
    /// <summary>Fewer random bytes than this may be in memory by chance.</summary>
    private const int MinReadLength = 8;

    private readonly DmaBuffer _scratch = device.AllocateDma(BufferLength);

    internal TimeSpan Timeout { get; set; }

    /// <summary>Moves bytes from memory to the device's buffer, or back when <paramref name="toMemory"/>.</summary>
    internal void Move(Iova memory, int at, int count, bool toMemory)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(at);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, BufferLength - at);
        ulong buffer = BufferAddress + (ulong)at;
        events.Clear();
        registers.Write64(DmaSource, toMemory ? buffer : memory.Value);
        registers.Write64(DmaDestination, toMemory ? memory.Value : buffer);
        registers.Write64(DmaCount, (ulong)count);
        registers.Write32(DmaCommand, DmaRun | InterruptAfterDma | (toMemory ? DmaToMemory : 0));
        if (events.WaitFor(DmaCause, Timeout) == 0)
            throw events.NotInTime(Describe(memory, count, toMemory), Timeout);
        if ((registers.Read32(DmaCommand) & DmaRun) != 0)
        {
            throw new VfioException(
                Describe(memory, count, toMemory), device.Name, Errno.InputOutput, "the device interrupted before it was done");
        }
    }

    /// <summary>Moves all of one buffer to another through the device, and compares each piece.</summary>
    internal void Copy(DmaBuffer source, DmaBuffer destination)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length, nameof(destination));
        Span<byte> sent = stackalloc byte[BufferLength];
        Span<byte> received = stackalloc byte[BufferLength];
        for (long offset = 0; offset < source.Length; offset += BufferLength)
        {
            int count = (int)Math.Min(BufferLength, source.Length - offset);
            source.Read(offset, sent[..count]);
            Move(source.AddressOf(offset), 0, count, toMemory: false);

            // The destination may hold the right bytes by chance; after this only the device can have put them there.
            for (int i = 0; i < count; i++)
                received[i] = (byte)~sent[i];
            destination.Write(offset, received[..count]);
            Move(destination.AddressOf(offset), 0, count, toMemory: true);
            destination.Read(offset, received[..count]);
            int wrong = sent[..count].CommonPrefixLength(received);
            if (wrong < count)
            {
                throw new VfioException(
                    $"DMA of {count} bytes from {source.AddressOf(offset)} to {destination.AddressOf(offset)}", device.Name,
                    Errno.BadAddress, $"byte {wrong} did not arrive: the device may not read the one or not write the other");
            }
        }
    }

    /// <summary>Has the device read memory at an address that may not be its own.</summary>
    /// <returns>False when it got nothing.</returns>
    internal bool TryRead(Iova address, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, MinReadLength, nameof(destination));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, BufferLength, nameof(destination));

        // What nobody can have in memory goes into the device's buffer first: if it is still there, the read was
        // refused. Some providers refuse with zeros or ones instead.
        Span<byte> mark = stackalloc byte[destination.Length];
        Random.Shared.NextBytes(mark);
        _scratch.Write(0, mark);
        Move(_scratch.Start, 0, destination.Length, toMemory: false);
        Move(address, 0, destination.Length, toMemory: false);
        Move(_scratch.Start, 0, destination.Length, toMemory: true);
        _scratch.Read(0, destination);
        return !destination.SequenceEqual(mark) && destination.ContainsAnyExcept((byte)0) && destination.ContainsAnyExcept((byte)0xff);
    }

    private static string Describe(Iova memory, int count, bool toMemory) =>
        $"DMA of {count} bytes {(toMemory ? "to" : "from")} {memory}";
}
