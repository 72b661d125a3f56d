using System.Numerics;
using static Vfio.Drivers.Nvme.NvmeRegisters;

namespace Vfio.Drivers.Nvme;

/// <summary>Memory for the page lists of commands in flight, one list a command id.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 4.3: the first entry may point into a page, all others point to the start of
/// one. A list lies in one page, so it never needs a pointer to its continuation.</remarks>
internal sealed class NvmePrpLists : IDisposable
{
    /// <summary>Largest transfer whose pages after the first fit one list.</summary>
    internal const int MaxTransferBytes = PageBytes / sizeof(ulong) * PageBytes;

    private readonly DmaBuffer? _lists;
    private readonly int _listBytes;

    /// <summary>Makes lists.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="count">How many.</param>
    /// <param name="transferBytes">The largest transfer.</param>
    internal NvmePrpLists(PciDevice device, int count, int transferBytes)
    {
        // A power of two, so that no list crosses a page. A transfer that starts inside a page touches one page more.
        _listBytes = (int)BitOperations.RoundUpToPowerOf2((uint)(transferBytes / PageBytes * sizeof(ulong)));
        if (transferBytes > PageBytes)
            _lists = device.AllocateDma((long)count * _listBytes, DmaAccess.Read);
    }

    /// <summary>Says where a command's data is.</summary>
    /// <param name="command">Gets PRP1 and PRP2; has its id.</param>
    /// <param name="start">The first byte; a multiple of 4.</param>
    /// <param name="bytes">1 to the largest transfer.</param>
    internal void Describe(ref NvmeSubmission command, Iova start, int bytes)
    {
        command.Prp1 = start.Value;
        ulong firstPage = start.Value & ~(ulong)(PageBytes - 1);
        int pages = (int)((start.Value - firstPage + (ulong)bytes + PageBytes - 1) / PageBytes);
        if (pages <= 2)
        {
            command.Prp2 = pages == 2 ? firstPage + PageBytes : 0;
            return;
        }

        long list = (long)command.CommandId * _listBytes;
        command.Prp2 = _lists!.AddressOf(list).Value;
        for (int page = 1; page < pages; page++)
            _lists.Write64(list + ((page - 1) * sizeof(ulong)), firstPage + (ulong)page * PageBytes);
    }

    /// <inheritdoc/>
    public void Dispose() => _lists?.Dispose();
}
