using System.Text;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Tests.Kernel;

/// <summary>Records below <c>/run</c>: whose they are, which modes they have, and that no link leads elsewhere.</summary>
public sealed class RecordFolderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("vfio-records-").FullName;

    private string Folder => Path.Combine(_root, "vfio");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Modes_are_explicit_and_a_folder_that_others_can_write_to_is_closed_to_them()
    {
        Directory.CreateDirectory(Folder);
        File.SetUnixFileMode(Folder, (UnixFileMode)0b111_111_111);
        using RecordFolder records = RecordFolder.OpenOrCreate(Folder);
        records.Replace("a", "text"u8);
        Assert.Equal((UnixFileMode)0b111_101_101, File.GetUnixFileMode(Folder));
        Assert.Equal((UnixFileMode)0b110_100_100, File.GetUnixFileMode(Path.Combine(Folder, "a")));
    }

    [Fact]
    public void A_folder_that_is_a_link_is_not_used()
    {
        Directory.CreateDirectory(Path.Combine(_root, "elsewhere"));
        Directory.CreateSymbolicLink(Folder, Path.Combine(_root, "elsewhere"));
        Assert.Throws<VfioException>(() => RecordFolder.OpenOrCreate(Folder).Dispose());
    }

    [Fact]
    public void A_link_in_the_place_of_a_record_is_replaced_and_what_it_led_to_is_not_touched()
    {
        using RecordFolder records = RecordFolder.OpenOrCreate(Folder);
        string target = Path.Combine(_root, "target");
        File.WriteAllText(target, "precious");
        foreach (string name in new[] { "a", ".a.new", ".lock" })
            File.CreateSymbolicLink(Path.Combine(Folder, name), target);
        Assert.Null(records.Read("a", 4096));
        records.Replace("a", "new"u8);
        Assert.Throws<VfioException>(records.Lock);
        Assert.Equal("precious", File.ReadAllText(target));
        Assert.Null(new FileInfo(Path.Combine(Folder, "a")).LinkTarget);
        Assert.Equal("new", Encoding.UTF8.GetString(records.Read("a", 4096)!));
    }

    [Fact]
    public void A_pipe_and_a_file_that_is_too_long_are_no_records()
    {
        using RecordFolder records = RecordFolder.OpenOrCreate(Folder);
        using System.Diagnostics.Process made = System.Diagnostics.Process.Start("mkfifo", Path.Combine(Folder, "pipe"));
        made.WaitForExit();
        Assert.Null(records.Read("pipe", 4096));
        records.Replace("long", new byte[4097]);
        Assert.Null(records.Read("long", 4096));
        Assert.Equal(4096, records.Read("long", 4097)!.Length - 1);
    }

    [Fact]
    public void Two_at_once_is_EAGAIN_and_nothing_is_left_behind()
    {
        using (RecordFolder first = RecordFolder.OpenOrCreate(Folder))
        using (RecordFolder second = RecordFolder.OpenOrCreate(Folder))
        {
            first.Lock();
            Assert.Equal(11, (int)Assert.Throws<VfioException>(second.Lock).Errno);
        }

        using RecordFolder third = RecordFolder.OpenOrCreate(Folder);
        third.Lock();
        third.Dispose();
        Assert.Empty(Directory.GetFileSystemEntries(Folder));
    }
}
