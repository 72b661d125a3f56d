namespace Vfio.Guard.Dma;

/// <content>What goes along when another process goes on with the table's user.</content>
internal sealed partial class DmaTable
{
    /// <summary>Whether writes are being recorded.</summary>
    internal bool IsLogging => _log is not null;

    /// <summary>All mappings, in ascending order. Their memory stays the table's: take references before the next change.</summary>
    internal List<DmaMapping> List()
    {
        List<DmaMapping> mappings = new(_chunks.Count);
        _lock.EnterWrite();
        try
        {
            _chunks.CollectTo(mappings);
            return mappings;
        }
        finally
        {
            _lock.ExitWrite();
        }
    }
}
