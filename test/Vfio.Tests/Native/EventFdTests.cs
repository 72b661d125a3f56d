using Vfio.Native;

namespace Vfio.Tests.Native;

/// <summary>Eventfds whose giver left them blocking, and filled them: eventfd(2), a write waits then for as long as nobody reads.</summary>
public sealed class EventFdTests
{
    private const ulong Full = 0xffff_ffff_ffff_fffe;

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
    public async Task A_full_counter_holds_nobody_up_for_long_and_the_second_time_not_at_all()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        for (int i = 0; i < 3; i++)
        {
            Fill(given);

            // A thread that hangs must not hang the tests.
            Task signal = Task.Factory.StartNew(held.Signal, TaskCreationOptions.LongRunning);
            Assert.Same(signal, await Task.WhenAny(signal, Task.Delay(HangGuard.Timeout)));
            await signal;
        }

        // Nobody waits for what was full, so it is as it was: only who reads it makes it less.
        Assert.Equal(Full, held.Drain());
    }

    [Fact]
    public void A_signal_that_ends_is_never_stuck()
    {
        using FileDescriptor given = NewBlocking();
        using EventFd held = EventFd.TryHold(given)!;
        held.Signal();
        Assert.False(held.IsStuck());
        Assert.False(held.IsStuck());
    }

    private static FileDescriptor NewBlocking() => new(LibC.eventfd(0, LibC.EFD_CLOEXEC));

    private static void Fill(FileDescriptor given)
    {
        using EventFd same = EventFd.TryHold(given)!;
        same.Drain();
        same.Add(Full);
    }
}
