using Vfio.Kernel.Device;

namespace Vfio.Kernel;

/// <content>Optional features: migration, dirty tracking, process address spaces.</content>
public sealed partial class KernelDevice
{
    /// <inheritdoc/>
    public MigrationFeatures Migration => _migration.Features;

    /// <inheritdoc/>
    public MigrationState MigrationState => _migration.State;

    /// <inheritdoc/>
    /// <remarks>If a change fails, the exception has the state that the device is in. This object owns the descriptor of the data, and closes it
    /// after the transfer.</remarks>
    public void SetMigrationState(MigrationState target) => _migration.SetState(target);

    /// <inheritdoc/>
    public int ReadMigrationData(Span<byte> destination) => _migration.Read(destination);

    /// <inheritdoc/>
    public void WriteMigrationData(ReadOnlySpan<byte> source) => _migration.Write(source);

    /// <summary>Estimated bytes of the device's state in <see cref="MigrationState.StopCopy"/>; in any state.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot be migrated, or the kernel is older than 6.2.</exception>
    public ulong EstimateMigrationBytes() => _migration.EstimateDataBytes();

    /// <summary>Bytes to read while the device is in <see cref="MigrationState.PreCopy"/>.</summary>
    /// <exception cref="VfioException">EINVAL: it is in another state; ENOTTY: it does not support this.</exception>
    internal PreCopyEstimate EstimatePreCopy() => _migration.EstimatePreCopy();

    /// <inheritdoc/>
    /// <remarks>By the device's own record if it has one, otherwise by its IOMMU: see <see cref="DmaSpace.TracksDirtyPages"/>. The record of an
    /// IOMMU is of all devices in <see cref="Space"/>.</remarks>
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

    /// <summary>Width of its process address space IDs (PASID) in bits; 0 when it has none, or with Linux before 6.15 or the group
    /// interface.</summary>
    public int PasidBits => Space is IommufdSpace space ? space.PasidBitsOf(_file) : 0;

    /// <summary>Makes requests of the device with a PASID use an address space of their own, as for a process that has a part of the
    /// device.</summary>
    /// <param name="pasid">The process address space ID (PASID), of <see cref="PasidBits"/> bits.</param>
    /// <param name="space">The address space, made from <see cref="Space"/>; owned by the caller, who detaches before disposing it.</param>
    /// <exception cref="VfioException">EINVAL, ENOTTY or EOPNOTSUPP: the kernel, the device or its IOMMU has none.</exception>
    internal void AttachPasid(uint pasid, IommufdSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        if (Space is IommufdSpace own && own.Context != space.Context)
            throw new ArgumentException("make it beside the space of the device", nameof(space));
        Explain($"attach of PASID {pasid}", () => space.AttachPasid(_file, pasid));
    }

    /// <summary>Detaches the address space of a PASID: such requests are blocked then.</summary>
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
