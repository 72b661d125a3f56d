using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Migration of a traced device.</summary>
/// <param name="inner">The device's.</param>
/// <param name="source">Records.</param>
internal sealed class TracedMigration(IMigratableDevice inner, TraceSource source) : IMigratableDevice
{
    /// <inheritdoc/>
    public MigrationFeatures Migration => inner.Migration;

    /// <inheritdoc/>
    public MigrationState MigrationState => inner.MigrationState;

    /// <inheritdoc/>
    public void SetMigrationState(MigrationState target)
    {
        source.Add(TraceEventKind.SetMigrationState, value: (ulong)target);
        try
        {
            inner.SetMigrationState(target);
        }
        catch (VfioException refusal)
        {
            source.AddRefusal(refusal, TraceEventKind.SetMigrationState);
            throw;
        }
    }

    /// <inheritdoc/>
    public int ReadMigrationData(Span<byte> destination)
    {
        int count = inner.ReadMigrationData(destination);
        source.Add(TraceEventKind.ReadState, length: count);
        return count;
    }

    /// <inheritdoc/>
    public void WriteMigrationData(ReadOnlySpan<byte> data)
    {
        source.Add(TraceEventKind.WriteState, length: data.Length);
        try
        {
            inner.WriteMigrationData(data);
        }
        catch (VfioException refusal)
        {
            source.AddRefusal(refusal, TraceEventKind.WriteState);
            throw;
        }
    }
}

/// <summary>Written pages of a traced device.</summary>
/// <param name="inner">The device's.</param>
/// <param name="source">Records.</param>
internal sealed class TracedDirtyTracker(IDirtyTracker inner, TraceSource source) : IDirtyTracker
{
    /// <inheritdoc/>
    public bool TracksDirtyPages => inner.TracksDirtyPages;

    /// <inheritdoc/>
    public ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges) => inner.StartDirtyTracking(pageBytes, ranges);

    /// <inheritdoc/>
    public void StopDirtyTracking() => inner.StopDirtyTracking();

    /// <inheritdoc/>
    public void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap) =>
        inner.ReportDirtyPages(start, length, pageBytes, bitmap);

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        source.Add(TraceEventKind.Unmap, place: start.Value, value: length);
        try
        {
            return inner.UnmapDma(start, length, pageBytes, bitmap);
        }
        catch (VfioException refusal)
        {
            source.AddRefusal(refusal, TraceEventKind.Unmap, place: start.Value);
            throw;
        }
    }
}
