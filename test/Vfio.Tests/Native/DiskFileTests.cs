using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Tests.Native;

/// <summary>A file as a disk.</summary>
public sealed class DiskFileTests : IDisposable
{
    private const int Length = 64 << 10;
    private readonly string _path = Path.GetTempFileName();

    public DiskFileTests() => File.WriteAllBytes(_path, new byte[Length]);

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Bytes_are_written_and_read_where_they_belong()
    {
        using DiskFile disk = DiskFile.Open(_path, isReadOnly: false);
        Assert.Equal((Length, 512, false), (disk.Length, disk.BlockBytes, disk.IsReadOnly));
        Assert.Equal(Errno.None, disk.Write(1024, [1, 2, 3]));
        Assert.Equal(Errno.None, disk.Flush());
        byte[] read = new byte[3];
        Assert.Equal(Errno.None, disk.Read(1024, read));
        Assert.Equal([1, 2, 3], read);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_path)[1024..1027]);
    }

    [Theory]
    [InlineData(Length, 1)]
    [InlineData(Length - 1, 2)]
    [InlineData(-1, 1)]
    [InlineData(long.MaxValue, 1)]
    public void Nothing_is_written_or_read_beyond_the_end(long offset, int count)
    {
        using DiskFile disk = DiskFile.Open(_path, isReadOnly: false);
        Assert.Equal(Errno.InputOutput, disk.Write(offset, new byte[count]));
        Assert.Equal(Errno.InputOutput, disk.Read(offset, new byte[count]));
        Assert.Equal(Length, new FileInfo(_path).Length);
    }

    [Fact]
    public void A_file_opened_for_reading_is_not_written()
    {
        using DiskFile disk = DiskFile.Open(_path, isReadOnly: true);
        Assert.Equal(Errno.BadDescriptor, disk.Write(0, [1]));
        Assert.Equal(new byte[Length], File.ReadAllBytes(_path));
    }

    [Fact]
    public void A_lock_is_for_one_writer_or_many_readers_and_names_the_process_that_has_it()
    {
        using (DiskFile writer = DiskFile.Open(_path, isReadOnly: false))
        {
            Assert.True(writer.TryLock(out _));
            using DiskFile other = DiskFile.Open(_path, isReadOnly: false);
            Assert.False(other.TryLock(out int? holder));
            Assert.True(holder is null || holder == Environment.ProcessId);
            using DiskFile reader = DiskFile.Open(_path, isReadOnly: true);
            Assert.False(reader.TryLock(out _));
        }

        using DiskFile first = DiskFile.Open(_path, isReadOnly: true);
        using DiskFile second = DiskFile.Open(_path, isReadOnly: true);
        Assert.True(first.TryLock(out _));
        Assert.True(second.TryLock(out _));
        using DiskFile late = DiskFile.Open(_path, isReadOnly: false);
        Assert.False(late.TryLock(out _));
    }

    [Fact]
    public void What_is_cut_off_stays_lost_and_is_no_success()
    {
        using DiskFile disk = DiskFile.Open(_path, isReadOnly: false);
        Resize(Length / 2);
        Assert.Equal(Errno.InputOutput, disk.Write(Length - 512, new byte[512]));
        Assert.Equal(Length / 2, new FileInfo(_path).Length);
        Assert.Equal(Errno.InputOutput, disk.Flush());
        Resize(Length);
        Assert.Equal(Errno.InputOutput, disk.Read(Length - 512, new byte[512]));
        Assert.Equal(Errno.InputOutput, disk.Flush());
        Assert.Equal(Errno.None, disk.Write(0, new byte[512]));
    }

    [Fact]
    public void Once_it_is_disposed_every_call_is_refused()
    {
        DiskFile disk = DiskFile.Open(_path, isReadOnly: false);
        disk.Dispose();
        Assert.Equal(Errno.BadDescriptor, disk.Read(0, new byte[1]));
        Assert.Equal(Errno.BadDescriptor, disk.Write(0, new byte[1]));
        Assert.Equal(Errno.BadDescriptor, disk.Flush());
    }

    private void Resize(long length)
    {
        using FileStream file = new(_path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0);
        file.SetLength(length);
    }
}
