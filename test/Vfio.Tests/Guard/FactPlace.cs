using System.Buffers.Binary;

namespace Vfio.Tests.Guard;

/// <summary>Where a structure of config space is.</summary>
/// <param name="View">The capability; of no meaning for the header.</param>
/// <param name="Offset">Where it starts.</param>
/// <param name="Length">Its size in bytes, for unknown kinds all up to the next structure; it may run over the end.</param>
internal sealed record FactPlace(FactView View, int Offset, int Length)
{
    /// <summary>Walks both lists: PCI 3.0, section 6.7; PCI Express Base 6.0, section 7.6. A list ends where it breaks.</summary>
    public static IEnumerable<FactPlace> All(byte[] config)
    {
        List<int> standard = [.. Standard(config)];
        int express = standard.Find(at => config[at] == 0x10) is var found and not 0 ? found : -1;
        List<int> extended = config.Length == 4096 && standard.Exists(at => config[at] is 0x10 or 0x07) ? [.. Extended(config)] : [];
        foreach (FactView view in standard.Concat(extended).Select(at => new FactView(config, at, at >= 256, express)))
        {
            int known = ConfigFacts.LengthOf(view);
            int end = standard.Concat(extended).Where(at => at > view.Start).Append(view.IsExtended ? 4096 : 256).Min();
            yield return new FactPlace(view, view.Start, known != 0 ? known : end - view.Start);
        }
    }

    private static IEnumerable<int> Standard(byte[] config)
    {
        HashSet<int> seen = [];
        for (int at = (config[6] & 0x10) != 0 ? config[0x34] & ~3 : 0; at >= 0x40 && config[at] != 0xff && seen.Add(at); at = config[at + 1] & ~3)
            yield return at;
    }

    private static IEnumerable<int> Extended(byte[] config)
    {
        HashSet<int> seen = [];
        for (int at = 0x100; at >= 0x100 && Header(at) is not (0 or uint.MaxValue) && seen.Add(at); at = (int)(Header(at) >> 20) & ~3)
            yield return at;

        uint Header(int at) => BinaryPrimitives.ReadUInt32LittleEndian(config.AsSpan(at));
    }
}
