using Vfio.Native.Memory;

namespace Vfio.Devices.Nvme;

/// <summary>Doorbells in the driver's memory: it writes them there, and to the registers only where this controller has asked for it.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.8 and annex B.5, Doorbell Buffer Config. Both pages have a dword for each
/// doorbell, in the order of the registers.</remarks>
/// <param name="doorbells">Where the driver writes doorbells.</param>
/// <param name="events">Where it reads of which it is to write the register: when the doorbell moves past this value.</param>
internal sealed class NvmeShadow(Iova doorbells, Iova events)
{
    private const int Stride = sizeof(uint);

    internal Iova Doorbells => doorbells;

    internal Iova Events => events;

    /// <summary>Reads a doorbell.</summary>
    internal bool TryRead(IPciSlot bus, int number, out int value)
    {
        int read = 0;
        bool isRead = bus.ReadMemory(doorbells + (ulong)(number * Stride), Blittable.AsBytes(ref read)) == Errno.None;
        value = read & 0xffff;
        return isRead;
    }

    /// <summary>Asks for the register to be written when the doorbell moves past a value.</summary>
    internal bool TryAsk(IPciSlot bus, int number, int value) =>
        bus.WriteMemory(events + (ulong)(number * Stride), Blittable.AsBytes(ref value)) == Errno.None;

    /// <summary>Starts with the value of the register.</summary>
    internal bool TryStart(IPciSlot bus, int number, int value) =>
        bus.WriteMemory(doorbells + (ulong)(number * Stride), Blittable.AsBytes(ref value)) == Errno.None && TryAsk(bus, number, value);
}
