using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The driver's memory, as work accesses it.</summary>
/// <param name="bus">The work's.</param>
/// <param name="work">The work.</param>
/// <remarks>A reset leaves behind a thread whose access the memory's owner does not answer. What such a thread would do next comes after
/// the reset, to registers that are somebody else's by then: so every access of abandoned work throws, which ends it.</remarks>
internal sealed class IgbMemory(IPciSlot bus, DeviceWork work)
{
    internal Errno Read(Iova address, Span<byte> destination) => EndAccess(bus.ReadMemory(address, destination));

    internal Errno Write(Iova address, ReadOnlySpan<byte> source) => EndAccess(bus.WriteMemory(address, source));

    private Errno EndAccess(Errno error) => work.IsAbandoned ? throw new OperationCanceledException() : error;
}
