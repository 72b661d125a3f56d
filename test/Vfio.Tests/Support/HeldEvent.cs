using Vfio.Native;
using Vfio.Native.Interop;

namespace Vfio.Tests;

/// <summary>What a peer with a copy of an eventfd may do to it at any time.</summary>
internal static class HeldEvent
{
    private const ulong Full = 0xffff_ffff_ffff_fffe;

    /// <summary>Makes reads of an empty counter and writes to a full one wait, for everybody who holds it.</summary>
    public static void Block(FileDescriptor descriptor) =>
        Assert.Equal(0, LibC.fcntl(descriptor.Number, LibC.F_SETFL, LibC.fcntl(descriptor.Number, LibC.F_GETFL, 0) & ~LibC.O_NONBLOCK));

    /// <summary>Fills the counter, so that a write waits.</summary>
    public static void Fill(FileDescriptor descriptor)
    {
        using EventFd same = EventFd.TryHold(descriptor)!;
        same.Drain();
        same.Add(Full);
    }

    /// <summary>Signals it and takes the signal back, again and again, so that who saw it readable finds nothing to read.</summary>
    public static void Tease(FileDescriptor descriptor, int times)
    {
        using EventFd same = EventFd.TryHold(descriptor)!;
        for (int i = 0; i < times; i++)
        {
            same.Signal();
            same.Drain();
        }
    }
}
