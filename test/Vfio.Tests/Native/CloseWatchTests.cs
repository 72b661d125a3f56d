using Vfio.Native;
using Vfio.Native.Tracing;

namespace Vfio.Tests.Native;

/// <summary>Files whose end is told: when no descriptor of them is left, however it came about.</summary>
public sealed class CloseWatchTests
{
    private const string Folder = "/dev/shm";

    [Fact]
    public void A_file_ends_with_its_last_descriptor_and_not_when_one_that_was_opened_by_name_is_closed()
    {
        using CloseWatch watch = new(Folder);
        FileDescriptor file = watch.Create(out int number);
        FileDescriptor copy = file.Duplicate();
        using (new FileStream($"/proc/self/fd/{file.Number}", FileMode.Open, FileAccess.ReadWrite))
            Assert.Empty(Take(watch));
        Assert.Empty(Take(watch));
        file.Dispose();
        Assert.Empty(Take(watch));
        copy.Dispose();
        Assert.Equal([number], Take(watch));
        Assert.Empty(Take(watch));
    }

    [Fact]
    public void The_end_of_each_file_is_told_once_also_when_the_kernel_had_too_many_to_tell()
    {
        // inotify(7): what does not fit into the queue is lost, and the last entry says so.
        int queue = LimitOf("max_queued_events"), files = queue + 100;
        Assert.SkipWhen(files > LimitOf("max_user_watches") || files > 100_000, "this machine's limits of inotify do not let its queue overflow");
        using CloseWatch watch = new(Folder);
        using FileDescriptor living = watch.Create(out int livingNumber);
        HashSet<int> expected = [];
        for (int i = 0; i < files; i++)
        {
            using FileDescriptor file = watch.Create(out int number);
            expected.Add(number);
        }

        List<int> ended = Take(watch);
        Assert.Equal(files, ended.Count);
        Assert.Equal(expected, ended.ToHashSet());
        Assert.DoesNotContain(livingNumber, ended);
    }

    private static List<int> Take(CloseWatch watch)
    {
        List<int> ended = [];
        watch.TryTake(ended);
        return ended;
    }

    private static int LimitOf(string name) => int.Parse(File.ReadAllText($"/proc/sys/fs/inotify/{name}"), System.Globalization.CultureInfo.InvariantCulture);
}
