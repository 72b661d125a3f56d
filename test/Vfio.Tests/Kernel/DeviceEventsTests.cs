using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Kernel;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.Kernel;

/// <summary>The stream of events, on a machine whose functions do not change: signals of devices, and its end.</summary>
public sealed class DeviceEventsTests
{
    private static CancellationToken TestTimeout => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_release_request_and_an_error_of_a_device_are_events()
    {
        using DeviceEvents events = new();
        using GuardedFunction guard = new(new EduFunction());
        using PciDevice device = new(guard.Open());
        events.Listen(device);
        await using IAsyncEnumerator<DeviceEvent> received = events.ReadAllAsync(TestTimeout).Where(happened => happened.Device == device.Name).GetAsyncEnumerator(TestTimeout);
        guard.RequestBack();
        Assert.True(await received.MoveNextAsync());
        Assert.Equal(DeviceEventKind.ReleaseRequested, received.Current.Kind);
        Assert.Null(received.Current.Within);
        guard.ReportError();
        Assert.True(await received.MoveNextAsync());
        Assert.Equal(DeviceEventKind.Error, received.Current.Kind);
        guard.RequestBack();
        Assert.True(await received.MoveNextAsync());
        Assert.Equal(DeviceEventKind.ReleaseRequested, received.Current.Kind);
    }

    [Fact]
    public void A_socket_without_a_message_is_EAGAIN()
    {
        using UeventSocket socket = new();

        // What the machine says meanwhile is read first.
        byte[] message = new byte[UeventSocket.MaxBytes];
        Errno error = Errno.None;
        Assert.True(SpinWait.SpinUntil(() => socket.Receive(message, out error) < 0, HangGuard.Timeout));
        Assert.Equal(11, (int)error);
    }

    [Fact]
    public async Task A_disposed_device_raises_no_events()
    {
        DeviceEvents events = new();
        using (GuardedFunction guard = new(new EduFunction()))
        {
            using PciDevice device = new(guard.Open());
            events.Listen(device);
        }

        events.Dispose();
        Assert.DoesNotContain(await events.ReadAllAsync(TestTimeout).ToArrayAsync(TestTimeout), happened => happened.Device == "model:edu");
    }

    [Fact]
    public async Task Reading_can_be_cancelled_and_goes_on_later()
    {
        using DeviceEvents events = new();
        using CancellationTokenSource stop = new();
        Task reading = Task.Run(async () => await events.ReadAllAsync(stop.Token).AnyAsync(_ => false, stop.Token), TestTimeout);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        using GuardedFunction guard = new(new EduFunction());
        using PciDevice device = new(guard.Open());
        events.Listen(device);
        guard.RequestBack();
        Assert.True(await events.ReadAllAsync(TestTimeout).AnyAsync(happened => happened.Device == device.Name, TestTimeout));
    }

    [Fact]
    public void Its_thread_ends_with_it()
    {
        using (DeviceEvents events = new())
            Assert.True(SpinWait.SpinUntil(() => CountThreads() == 1, HangGuard.Timeout));
        Assert.True(SpinWait.SpinUntil(() => CountThreads() == 0, HangGuard.Timeout), "a thread stays");

        static int CountThreads() => Directory.GetDirectories("/proc/self/task").Count(
            task => File.Exists(task + "/comm") && File.ReadAllText(task + "/comm").StartsWith("vfio events", StringComparison.Ordinal));
    }
}
