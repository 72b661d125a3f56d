using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Finds the BAR at an address of a program.</summary>
/// <remarks>What the kernel says is kept until a BAR is mapped again, wherever: before that, no other BAR can be at the same address. Used by
/// the tracer's thread.</remarks>
internal sealed class MappedBars(OpenFiles files, PolledRegisters polled)
{
    private const int MostKnown = 4096;
    private const ulong PageMask = ~0xfffUL;
    private readonly Dictionary<(int Process, ulong Page), KnownPage> _known = [];
    private int _mappings;

    /// <summary>Finds it.</summary>
    /// <param name="process">The process.</param>
    /// <param name="thread">The thread that touched it.</param>
    /// <param name="address">The address.</param>
    /// <param name="area">The mapping there.</param>
    /// <returns>Null where none is.</returns>
    internal BarAccess? Find(int process, int thread, ulong address, out MappedArea area)
    {
        ulong page = address & PageMask;
        if (_mappings != files.Mappings || _known.Count >= MostKnown)
        {
            _mappings = files.Mappings;
            _known.Clear();
        }

        // A file that is closed is mapped nowhere.
        if (_known.TryGetValue((process, page), out KnownPage? known) && files.Find(known.Area.File) == known.File)
        {
            area = known.Area;
            return known.Bar.Move((long)(address - page));
        }

        if (!AddressMap.TryFind(thread, address, out area))
            return null;
        if (files.Find(area.File) is not { } file)
            return polled.Find(area)?.Move((long)(area.Offset + (address - area.Start)));
        ServedMapping mapping = file.Map(area.Offset + (page - area.Start), ~PageMask + 1, area.IsWritable);
        if (mapping.Device is not { } device)
            return null;
        BarAccess bar = new(device, mapping.Region, mapping.Offset);
        _known[(process, page)] = new KnownPage(file, bar, area);
        return bar.Move((long)(address - page));
    }

    /// <summary>Forgets what a process had mapped, which ended or executed another program.</summary>
    internal void Forget(int process)
    {
        foreach ((int Process, ulong Page) key in _known.Keys.Where(key => key.Process == process).ToArray())
            _known.Remove(key);
    }

    private sealed record KnownPage(ServedFile File, BarAccess Bar, MappedArea Area);
}
