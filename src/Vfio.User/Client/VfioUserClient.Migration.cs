using Vfio.Native;

namespace Vfio.User;

/// <content>Optional features: migration, and dirty page tracking.</content>
public sealed partial class VfioUserClient
{
    /// <inheritdoc/>
    public MigrationFeatures Migration => Ask(static connection => connection.Migration.Features);

    /// <inheritdoc/>
    public MigrationState MigrationState => Ask(static connection => connection.Migration.GetState());

    /// <inheritdoc/>
    public bool TracksDirtyPages => Ask(static connection => connection.Migration.TracksDirtyPages);

    /// <inheritdoc/>
    public void SetMigrationState(MigrationState target)
    {
        lock (_lock)
            Connection.Migration.SetState(target);
    }

    /// <inheritdoc/>
    public int ReadMigrationData(Span<byte> destination)
    {
        lock (_lock)
            return Connection.Migration.Read(destination);
    }

    /// <inheritdoc/>
    public void WriteMigrationData(ReadOnlySpan<byte> source)
    {
        lock (_lock)
            Connection.Migration.Write(source);
    }

    /// <inheritdoc/>
    public ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges)
    {
        lock (_lock)
            return Connection.Migration.StartTracking(pageBytes, ranges);
    }

    /// <inheritdoc/>
    public void StopDirtyTracking()
    {
        lock (_lock)
            Connection.Migration.StopTracking();
    }

    /// <inheritdoc/>
    public void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_lock)
            Connection.Migration.Report(start, length, pageBytes, bitmap);
    }

    /// <inheritdoc/>
    /// <remarks>The protocol reports on one mapping at a time, whose bitmap fits a message.</remarks>
    public ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        const string Operation = "DMA_UNMAP";
        lock (_lock)
        {
            Connection.Migration.CheckBitmap(Operation, start, length, pageBytes, bitmap.Length);
            Errno error = _mappings.Find(start, length, out int place, out int count);
            bool isWhole = error == Errno.None && count == 1
                && _mappings.All[place].Start == start && _mappings.All[place].Length == length;
            if (error == Errno.None && (!isWhole || !Connection.Migration.FitsMessage(length, pageBytes)))
                error = Errno.InvalidArgument;
            if (error == Errno.None)
                error = Connection.Migration.Unmap(start, length, pageBytes, bitmap);
            if (error != Errno.None)
                throw new VfioException(Operation, Name, error, $"{length} bytes at {start}, with a report");
            _mappings.RemoveAt(place);
            Connection.KeepAnswering();
            return length;
        }
    }
}
