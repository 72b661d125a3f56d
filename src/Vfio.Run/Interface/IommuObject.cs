using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>An object of an iommufd, which programs name by its number.</summary>
/// <remarks>All of them are read and changed under the lock of their <see cref="ServedIommu"/>.</remarks>
internal abstract class IommuObject
{
    /// <summary>Its number, from 1.</summary>
    internal uint Id { get; set; }

    /// <summary>How many others need it; it cannot be destroyed before.</summary>
    internal int Users { get; set; }

    /// <summary>Gives back what it uses; called when it is destroyed.</summary>
    internal virtual void Destroy()
    {
    }
}

/// <summary>A device that is bound to an iommufd.</summary>
/// <param name="device">The device.</param>
internal sealed class IommuDevice(OpenDevice device) : IommuObject
{
    /// <summary>The device.</summary>
    internal OpenDevice Device { get; } = device;

    /// <summary>The page table that it uses; null for none.</summary>
    internal PageTable? Table { get; set; }
}

/// <summary>A hardware page table: an I/O address space as the IOMMU of devices has it.</summary>
/// <param name="space">The address space; one more user of it.</param>
/// <param name="isAutomatic">Whether it was made for a device that was attached to the address space, and goes with the last one.</param>
/// <param name="hasDirtyTracking">Whether it can record written pages; IOMMU_HWPT_ALLOC_DIRTY_TRACKING.</param>
internal sealed class PageTable(Ioas space, bool isAutomatic, bool hasDirtyTracking) : IommuObject
{
    /// <summary>The address space.</summary>
    internal Ioas Space { get; } = space;

    /// <summary>Whether it goes with its last device.</summary>
    internal bool IsAutomatic { get; } = isAutomatic;

    /// <summary>Whether it can record written pages.</summary>
    internal bool HasDirtyTracking { get; } = hasDirtyTracking;

    /// <summary>Whether written pages are recorded.</summary>
    internal bool IsTracking { get; private set; }

    /// <summary>Starts, anew, or stops to record what its devices write.</summary>
    internal void SetTracking(bool isOn, IEnumerable<OpenDevice> devices)
    {
        IsTracking = isOn;
        foreach (OpenDevice device in devices)
        {
            if (isOn)
                device.Dirty.Start(DirtyUser.PageTable);
            else
                device.Dirty.Stop(DirtyUser.PageTable);
        }
    }

    /// <summary>Reports what was written.</summary>
    /// <param name="report">The request.</param>
    /// <param name="devices">Its devices.</param>
    /// <param name="clears">Whether what is reported is forgotten.</param>
    /// <returns>EFAULT: the bitmap is not all there.</returns>
    internal Errno Report(DirtyReport report, IEnumerable<OpenDevice> devices, bool clears)
    {
        List<OpenDevice> asked = [.. devices];
        IovaInterval[] mapped;
        lock (Space.Space.Lock)
        {
            int count = Space.Space.Find(report.Start, report.Last, out int first);
            mapped = [.. Space.Space.Mappings.Skip(first).Take(count).Select(mapping => new IovaInterval(mapping.Start, mapping.Last))];
        }

        return report.Fill(mapped, window =>
        {
            foreach (OpenDevice device in asked)
                device.Dirty.Report(DirtyUser.PageTable, window, clears);
        });
    }

    /// <inheritdoc/>
    internal override void Destroy()
    {
        Space.Tables.Remove(this);
        Space.Users--;
    }
}
