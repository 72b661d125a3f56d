using Vfio.Native;

namespace Vfio.User;

/// <content>What a device may have beside the rest: migration, and a record of what it wrote.</content>
public sealed partial class VfioUserClient : IMigratableDevice, IDirtyTracker
{
    /// <inheritdoc/>
    public MigrationFeatures Migration
    {
        get
        {
            lock (_gate)
                return _migration.Features;
        }
    }

    /// <inheritdoc/>
    public MigrationState MigrationState
    {
        get
        {
            lock (_gate)
                return _migration.GetState();
        }
    }

    /// <inheritdoc/>
    public bool TracksDirtyPages
    {
        get
        {
            lock (_gate)
                return _migration.TracksDirtyPages;
        }
    }

    /// <inheritdoc/>
    public void SetMigrationState(MigrationState target)
    {
        lock (_gate)
            _migration.SetState(target);
    }

    /// <inheritdoc/>
    public int ReadMigrationData(Span<byte> destination)
    {
        lock (_gate)
            return _migration.Read(destination);
    }

    /// <inheritdoc/>
    public void WriteMigrationData(ReadOnlySpan<byte> source)
    {
        lock (_gate)
            _migration.Write(source);
    }

    /// <inheritdoc/>
    public ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges)
    {
        lock (_gate)
            return _migration.StartTracking(pageBytes, ranges);
    }

    /// <inheritdoc/>
    public void StopDirtyTracking()
    {
        lock (_gate)
            _migration.StopTracking();
    }

    /// <inheritdoc/>
    public void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_gate)
            _migration.Report(start, length, pageBytes, bitmap);
    }

    /// <inheritdoc/>
    /// <remarks>The protocol reports on one mapping at a time, whose bitmap fits a message.</remarks>
    public ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        const string Operation = "DMA_UNMAP";
        lock (_gate)
        {
            _migration.CheckBitmap(Operation, start, length, pageBytes, bitmap.Length);
            Errno error = _mappings.Find(start, length, out int place, out int count);
            bool isWhole = error == Errno.None && count == 1
                && _mappings.All[place].Start == start && _mappings.All[place].Length == length;
            if (error == Errno.None && (!isWhole || !_migration.FitsMessage(length, pageBytes)))
                error = Errno.InvalidArgument;
            if (error == Errno.None)
                error = _migration.Unmap(start, length, pageBytes, bitmap);
            if (error != Errno.None)
                throw new VfioException(Operation, Name, error, $"{length} bytes at {start}, with a report");
            _mappings.RemoveAt(place);
            KeepPump();
            return length;
        }
    }
}
