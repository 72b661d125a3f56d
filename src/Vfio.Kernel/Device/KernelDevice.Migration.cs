using Vfio.Kernel.Device;

namespace Vfio.Kernel;

/// <content>What a device may have beside the rest: migration, a record of what it wrote, address spaces for processes.</content>
public sealed partial class KernelDevice
{
    /// <inheritdoc/>
    public MigrationFeatures Migration => _migration.Features;

    /// <inheritdoc/>
    public MigrationState MigrationState => _migration.State;

    /// <inheritdoc/>
    /// <remarks>The exception of a change that failed says in which state the device is. The descriptor that the data goes through is
    /// this object's, and closed when the transfer is over.</remarks>
    public void SetMigrationState(MigrationState target) => _migration.SetState(target);

    /// <inheritdoc/>
    public int ReadMigrationData(Span<byte> destination) => _migration.Read(destination);

    /// <inheritdoc/>
    public void WriteMigrationData(ReadOnlySpan<byte> source) => _migration.Write(source);

    /// <summary>How many bytes <see cref="MigrationState.StopCopy"/> would give now, estimated; in any state.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated, or the kernel is older than 6.2.</exception>
    public ulong EstimateMigrationBytes() => _migration.EstimateDataBytes();

    /// <summary>How much there is to read while the device is in <see cref="MigrationState.PreCopy"/>.</summary>
    /// <exception cref="VfioException">EINVAL: it is not; ENOTTY: it cannot be migrated so.</exception>
    internal PreCopyEstimate EstimatePreCopy() => _migration.EstimatePreCopy();

    /// <inheritdoc/>
    /// <remarks>The device itself where it keeps a record, otherwise its IOMMU: see <see cref="DmaSpace.TracksDirtyPages"/>. What an
    /// IOMMU has on record is of all devices in <see cref="Space"/>.</remarks>
    public bool TracksDirtyPages => _tracking.IsOffered;

    /// <inheritdoc/>
    public ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges) => _tracking.Start(pageBytes, ranges);

    /// <inheritdoc/>
    public void StopDirtyTracking() => _tracking.Stop();

    /// <inheritdoc/>
    public void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap) =>
        _tracking.Report(start, length, pageBytes, bitmap);

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap) =>
        _tracking.Unmap(start, length, pageBytes, bitmap);

    /// <summary>How many bits the numbers of its process address spaces have; 0 when it has none, or the kernel does not tell (before
    /// Linux 6.15, or a device from its group).</summary>
    public int PasidBits => Space is IommufdSpace space ? space.PasidBitsOf(_file) : 0;

    /// <summary>Lets requests of the device that bear a number see an address space of their own, as for a process that has a part of the
    /// device to itself.</summary>
    /// <param name="pasid">The process address space ID (PASID), of <see cref="PasidBits"/> bits.</param>
    /// <param name="space">What they see; made beside <see cref="Space"/>, and owned by the caller, who detaches first.</param>
    /// <exception cref="VfioException">EINVAL, ENOTTY or EOPNOTSUPP: the kernel, the device or its IOMMU has none.</exception>
    internal void AttachPasid(uint pasid, IommufdSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        if (Space is IommufdSpace own && own.Context != space.Context)
            throw new ArgumentException("make it beside the space of the device", nameof(space));
        Explain($"attach of PASID {pasid}", () => space.AttachPasid(_file, pasid));
    }

    /// <summary>Ends that: such requests reach nothing then.</summary>
    /// <param name="pasid">The process address space ID.</param>
    /// <exception cref="VfioException">As for <see cref="AttachPasid"/>.</exception>
    public void DetachPasid(uint pasid) => Explain($"detach of PASID {pasid}", () => _file.DetachIommufd(pasid));

    private void Explain(string operation, Action call)
    {
        try
        {
            call();
        }
        catch (VfioException refusal)
        {
            throw new VfioException(operation, Name, refusal.Errno, ErrorHint.Pasid(refusal.Errno));
        }
    }
}
