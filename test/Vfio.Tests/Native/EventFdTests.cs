using System.Diagnostics;
using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Tests.Native;

/// <summary>Eventfds that another process has too, which fills and empties the counter and changes O_NONBLOCK: eventfd(2), a
/// write to a full one then waits until it is read, and a read of an empty one until it is written.</summary>
public sealed class EventFdTests
{
    private const ulong Full = 0xffff_ffff_ffff_fffe;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void A_signal_to_a_blocking_descriptor_is_counted()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        held.Signal();
        held.Signal();
        Assert.Equal(2ul, held.Drain());
        Assert.Equal(0ul, held.Drain());
    }

    [Fact]
    public void One_that_was_disposed_reaches_no_file_that_has_its_number_now()
    {
        EventFd disposed = EventFd.Create();
        int number = disposed.Descriptor.Number;
        disposed.Dispose();

        // Whatever runs beside this test opens files too, so the number is given out again until it is this one's.
        List<EventFd> later = [];
        try
        {
            while (later.All(one => one.Descriptor.Number != number) && later.Count < 100)
                later.Add(EventFd.Create());
            disposed.Signal();
            Assert.All(later, one => Assert.Equal(0ul, one.Drain()));
            Assert.Equal(0ul, disposed.Drain());
            Assert.Throws<ObjectDisposedException>(() => disposed.Wait(TimeSpan.Zero));
        }
        finally
        {
            later.ForEach(one => one.Dispose());
        }
    }

    [Fact]
    public async Task A_full_counter_blocks_no_thread_for_long()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        for (int i = 0; i < 3; i++)
        {
            HeldEvent.Fill(given);
            await Ends(held.Signal);
        }

        // No thread waits for the full one, so it is as it was: only a read lowers it.
        Assert.Equal(Full, held.Drain());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_nonblocking_flag_that_is_cleared_by_another_process_blocks_no_signal_and_no_read(bool isOurs)
    {
        using EventFd made = EventFd.Create();
        using EventFd other = EventFd.TryHold(made.Descriptor)!;
        EventFd held = isOurs ? made : other;
        HeldEvent.Block(made.Descriptor);
        await Ends(() => Assert.Equal(0ul, held.Drain()));
        HeldEvent.Fill(made.Descriptor);
        await Ends(held.Signal);
        Assert.Equal(Full, held.Drain());
        await Ends(() => Assert.False(held.Wait(TimeSpan.FromMilliseconds(1))));
    }

    [Fact]
    public async Task A_process_that_fills_it_again_whenever_it_is_emptied_blocks_no_signal()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        using CancellationTokenSource end = new();
        Task filler = Task.Factory.StartNew(
            () =>
            {
                while (!end.IsCancellationRequested)
                    HeldEvent.Fill(given);
            },
            TaskCreationOptions.LongRunning);
        await Ends(() =>
        {
            for (int i = 0; i < 1000; i++)
                held.Signal();
        });
        await end.CancelAsync();

        // The filler would be stuck in its own write only if another process had filled it before: there is none.
        held.Drain();
        await filler.WaitAsync(TestTimeout, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_hundred_that_are_full_cost_their_threads_no_more_than_one_does()
    {
        FileDescriptor[] given = [.. Enumerable.Range(0, 100).Select(_ => NewBlocking())];
        EventFd[] held = [.. given.Select(descriptor => EventFd.TryHold(descriptor)!)];
        Array.ForEach(given, HeldEvent.Fill);
        await Ends(() =>
        {
            Thread[] threads = [.. held.Select(one => new Thread(one.Signal))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
        });
        await Ends(() => Array.ForEach(held, one => one.Signal()));
        Array.ForEach(held, one => one.Dispose());
        Array.ForEach(given, one => one.Dispose());
    }

    [Fact]
    public async Task After_one_that_was_filled_others_are_signalled_as_before()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd hostile = EventFd.TryHold(given)!;
        using EventFd good = EventFd.Create();
        HeldEvent.Fill(given);
        await Ends(hostile.Signal);
        good.Signal();
        Assert.Equal(1ul, good.Drain());
    }

    [Fact]
    public async Task A_process_that_was_started_with_all_signals_blocked_ends_them_too()
    {
        // What the thread has blocked when it signals for the first time stands for what its parent had blocked.
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        HeldEvent.Fill(given);
        await Ends(() =>
        {
            BlockSignals();
            held.Signal();
        });
    }

    [Fact]
    public void A_fifo_in_a_folder_with_an_eventfds_name_is_none()
    {
        string folder = Path.Combine(Directory.CreateTempSubdirectory("vfio-test-").FullName, "anon_inode:[eventfd]");
        Directory.CreateDirectory(folder);
        string fifo = Path.Combine(folder, "anon_inode:[eventfd]");
        using (Process make = Process.Start("mkfifo", [fifo]))
            make.WaitForExit();
        using (FileDescriptor descriptor = new(LibC.open(fifo, LibC.O_RDWR | LibC.O_CLOEXEC)))
            Assert.Null(EventFd.TryHold(descriptor));
        Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);
    }

    [Fact]
    public void Other_anonymous_files_are_no_eventfds()
    {
        using FileDescriptor timer = new(LibC.timerfd_create(LibC.CLOCK_MONOTONIC, LibC.TFD_CLOEXEC));
        using FileDescriptor poller = new(LibC.epoll_create1(LibC.EPOLL_CLOEXEC));
        using FileDescriptor memory = MemoryFile.Create("eventfd-count: 1", 4096);
        Assert.All([timer, poller, memory], descriptor => Assert.Null(EventFd.TryHold(descriptor)));
    }

    // proc_pid_fdinfo(5): what every kind has, then what the kind adds. The second and third have the word where a peer chose it.
    [Theory]
    [InlineData("pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t2057\neventfd-count:                0\neventfd-id: 5\n", true)]
    [InlineData("pos:\t0\nflags:\t02\nmnt_id:\t16\neventfd-count:               1a\n", true)]
    [InlineData("pos:\t0\nflags:\t02\nlock:\t1: FLOCK  ADVISORY  WRITE 99 00:0f:2057 0 EOF\neventfd-count:                0\n", true)]
    [InlineData("pos:\t0\nflags:\t02\nmnt_id:\t16\nino:\t7\nSqMask:\t0x7\nUserFiles:\t1\n    0: a\neventfd-count: 0\n", false)]
    [InlineData("pos:\t0\nflags:\t02\nmnt_id:\t16\nino:\t7\ninotify wd:1\neventfd-count: 0\n", false)]
    [InlineData("pos:\t0\nflags:\t02\nmnt_id:\t16\nino:\t7\n", false)]
    [InlineData("", false)]
    public void Only_the_line_that_the_kernel_writes_first_for_a_kind_counts(string text, bool isEventFd) =>
        Assert.Equal(isEventFd, DescriptorInfo.SaysEventFd(text));

    private static FileDescriptor NewBlocking() => new(LibC.eventfd(0, LibC.EFD_CLOEXEC));

    /// <summary>Lets a thread of its own do something: one that hangs must not hang the tests.</summary>
    private static Task Ends(Action action) =>
        Task.Factory.StartNew(action, TaskCreationOptions.LongRunning).WaitAsync(TestTimeout, TestContext.Current.CancellationToken);

    private static void BlockSignals()
    {
        ulong[] all = new ulong[16];
        all.AsSpan().Fill(ulong.MaxValue);
        Assert.Equal(0, pthread_sigmask(0, all, 0));
    }

    [DllImport("libc")]
    private static extern int pthread_sigmask(int how, ulong[] set, nint previous);
}
