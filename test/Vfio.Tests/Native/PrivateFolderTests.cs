using Vfio.Native.Files;

namespace Vfio.Tests.Native;

/// <summary>Folders in memory that end with their process.</summary>
public sealed class PrivateFolderTests
{
    private readonly string _purpose = $"vfio-test-{Guid.NewGuid():n}";

    [Fact]
    public void It_is_its_users_alone_and_gone_when_it_is_disposed()
    {
        PrivateFolder folder = PrivateFolder.Create(_purpose);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder.FullPath));
        File.WriteAllText(Path.Combine(folder.FullPath, "file"), "");
        folder.Dispose();
        Assert.False(Directory.Exists(folder.FullPath));
    }

    [Fact]
    public void What_a_killed_process_left_goes_when_the_next_is_made_and_what_is_in_use_stays()
    {
        string left = Directory.CreateDirectory($"/dev/shm/{_purpose}-1-x").FullName;
        File.WriteAllText(Path.Combine(left, "file"), "");
        using PrivateFolder used = PrivateFolder.Create(_purpose);
        Assert.False(Directory.Exists(left));
        using PrivateFolder next = PrivateFolder.Create(_purpose);
        Assert.True(Directory.Exists(used.FullPath));
    }

    [Fact]
    public void A_link_that_has_its_name_is_left_alone()
    {
        string target = Directory.CreateTempSubdirectory("vfio-test-").FullName, link = $"/dev/shm/{_purpose}-1-x";
        File.WriteAllText(Path.Combine(target, "file"), "");
        File.CreateSymbolicLink(link, target);
        try
        {
            using PrivateFolder folder = PrivateFolder.Create(_purpose);
            Assert.True(File.Exists(Path.Combine(target, "file")));
        }
        finally
        {
            File.Delete(link);
            Directory.Delete(target, recursive: true);
        }
    }
}
