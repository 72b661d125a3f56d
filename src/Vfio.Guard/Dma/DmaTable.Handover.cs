namespace Vfio.Guard.Dma;

/// <content>What a handover needs.</content>
internal sealed partial class DmaTable
{
    /// <summary>Whether writes are being recorded.</summary>
    internal bool IsLogging => _log is not null;

    /// <summary>All mappings, in ascending order. The table owns their memory: take references before the next change.</summary>
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
