using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Driver;

/// <summary>The parts of a region that are mapped into this process.</summary>
internal sealed class BarWindows : IDisposable
{
    private Window[] _windows;

    /// <summary>Maps all that the device offers and that is safe to access; nothing where the kernel can map only part of it, because
    /// the rest can still be read and written.</summary>
    internal BarWindows(RegionInfo region)
    {
        _windows = [];

        // A store to a read-only mapping would end the process; as a message it is an error. The same holds for an access past the end of a
        // file, but the region lies inside its file, which cannot be truncated. The kernel's device files have pages until the device is
        // removed, which the watched mapping detects.
        if (!region.IsMappable || !region.Flags.HasFlag(RegionFlags.Write))
            return;
        IReadOnlyList<MmapArea> areas = region.MmapAreas.Count > 0 ? region.MmapAreas : [new(0, region.Length)];
        try
        {
            if (!FileIdentity.Of(region.File!).IsSafeToMap(region.FileOffset, region.Length))
                return;
            foreach (MmapArea area in areas)
            {
                SharedMemory memory = SharedMemory.MapWatched(region.File!, region.FileOffset + area.Offset, area.Length, writable: true);
                _windows = [.. _windows, new Window(area.Offset, memory)];
            }
        }
        catch (VfioException)
        {
            Dispose();
        }
    }

    /// <summary>Finds the window that has all bytes of an access.</summary>
    /// <param name="offset">Offset in the region.</param>
    /// <param name="width">How many bytes.</param>
    /// <param name="inside">Offset in the window.</param>
    /// <returns>Null when there is none.</returns>
    internal SharedMemory? Find(ulong offset, int width, out ulong inside)
    {
        foreach (Window window in _windows)
        {
            inside = offset - window.Start;
            if (inside < window.Memory.Length && (ulong)width <= window.Memory.Length - inside)
                return window.Memory;
        }

        inside = 0;
        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Window window in Interlocked.Exchange(ref _windows, []))
            window.Memory.Dispose();
    }

    private readonly record struct Window(ulong Start, SharedMemory Memory);
}
