using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>Counts the frames of a virtual function. Counters wrap, and no read clears them.</summary>
/// <remarks>82576 Datasheet, section 8.28: those of the loopback count frames from and to other functions of the port. Any thread. Lengths
/// are with the frame check sequence.</remarks>
internal sealed class IgbVirtualStatistics(RegisterFile<IgbVirtualRegister> registers)
{
    private const int CheckBytes = 4;

    internal void CountReceived(ReadOnlySpan<byte> frame, bool isLocal)
    {
        Count(IgbVirtualRegister.GoodReceived, 1);
        Count(IgbVirtualRegister.GoodOctetsReceived, frame.Length + CheckBytes);
        if (IgbFilter.IsMulticast(frame) && !IgbFilter.IsBroadcast(frame))
            Count(IgbVirtualRegister.MulticastsReceived, 1);
        if (!isLocal)
            return;
        Count(IgbVirtualRegister.LocalReceived, 1);
        Count(IgbVirtualRegister.LocalOctetsReceived, frame.Length + CheckBytes);
    }

    internal void CountSent(ReadOnlySpan<byte> frame, bool isLocal)
    {
        Count(IgbVirtualRegister.GoodSent, 1);
        Count(IgbVirtualRegister.GoodOctetsSent, frame.Length + CheckBytes);
        if (!isLocal)
            return;
        Count(IgbVirtualRegister.LocalSent, 1);
        Count(IgbVirtualRegister.LocalOctetsSent, frame.Length + CheckBytes);
    }

    private void Count(IgbVirtualRegister register, int amount) => registers.Count(register, 0, (ulong)amount, uint.MaxValue, wraps: true);
}
