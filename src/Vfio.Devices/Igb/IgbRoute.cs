namespace Vfio.Devices.Igb;

/// <summary>Where the switch sends a frame, kept with it in the packet buffer: a pool, and whether another pool sent it. 0 is no route.</summary>
internal static class IgbRoute
{
    private const int Routed = 0x80, Local = 0x40, PoolMask = 0x07;

    internal static int Of(int pool, bool isLocal) => Routed | pool | (isLocal ? Local : 0);

    internal static int PoolOf(int route) => route & PoolMask;

    internal static bool IsLocal(int route) => (route & Local) != 0;
}
