using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Testing;
using Vfio.User;

namespace Vfio.Tests.Driver;

/// <summary>When a device has to be let go of, and why, wherever it is.</summary>
public sealed class RemovedTests
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public async Task An_owners_request_comes_to_the_user_of_a_model()
    {
        using GuardedFunction guard = new(new EduFunction());
        using PciDevice device = new(guard.Open());
        Task<RemovalReason> removed = device.Removed;
        Assert.False(removed.IsCompleted);
        Assert.Same(removed, device.Removed);
        guard.RequestBack();
        Assert.Equal(RemovalReason.ReleaseRequested, await removed.WaitAsync(TestTimeout));
        Assert.True(device.IsPresent);
    }

    [Fact]
    public async Task A_request_from_before_is_not_lost_and_the_drivers_own_wait_for_it_neither()
    {
        using GuardedFunction guard = new(new EduFunction());
        using PciDevice device = new(guard.Open());
        guard.RequestBack();
        Assert.Equal(RemovalReason.ReleaseRequested, await device.Removed.WaitAsync(TestTimeout));
        Assert.True(device.Interrupts.EnableReleaseRequest().Wait(TestTimeout));
    }

    [Fact]
    public async Task It_is_awaited_while_somebody_waits_for_the_request_itself()
    {
        using GuardedFunction guard = new(new EduFunction());
        using PciDevice device = new(guard.Open());
        Interrupt request = device.Interrupts.EnableReleaseRequest();
        ValueTask own = request.WaitAsync();
        Task<RemovalReason> removed = device.Removed;
        guard.RequestBack();
        await own.AsTask().WaitAsync(TestTimeout);

        // One of both takes the notice; the next one comes to whoever did not get it.
        guard.RequestBack();
        Assert.Equal(RemovalReason.ReleaseRequested, await removed.WaitAsync(TestTimeout));
    }

    [Fact]
    public async Task A_model_that_its_owner_unplugs_is_removed_and_can_be_disposed()
    {
        GuardedFunction guard = new(new EduFunction());
        PciDevice device = new(guard.Open());
        device.Interrupts.Enable(1);
        DmaBuffer buffer = device.AllocateDma(4096);
        Task<RemovalReason> removed = device.Removed;
        guard.Dispose();

        Assert.Equal(RemovalReason.Removed, await removed.WaitAsync(TestTimeout));
        Assert.False(device.IsPresent);
        VfioException gone = Assert.Throws<VfioException>(() => device.OpenBar(0));
        Assert.Equal(19, (int)gone.Errno); // ENODEV
        Assert.Contains("it was removed", gone.Message, StringComparison.Ordinal);
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => buffer.Read8(0));
    }

    [Fact]
    public async Task A_request_for_a_device_that_nobody_answers_for_is_its_removal()
    {
        // Linux requests the release of a function that was pulled out.
        using GuardedFunction guard = new(new EduFunction());
        FaultyDevice faulty = new(guard.Open());
        using PciDevice device = new(faulty);
        Task<RemovalReason> removed = device.Removed;
        faulty.Add(Fault.ReadsOnes(RegionIndex.Config, 0x0e));
        guard.RequestBack();
        Assert.Equal(RemovalReason.Removed, await removed.WaitAsync(TestTimeout));
    }

    [Fact]
    public async Task Who_waits_is_cancelled_when_the_driver_gives_the_device_back()
    {
        using GuardedFunction guard = new(new EduFunction());
        Task<RemovalReason> removed;
        using (PciDevice device = new(guard.Open()))
            removed = device.Removed;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => removed.WaitAsync(TestTimeout));
        guard.RequestBack();
        Assert.True(removed.IsCanceled);
    }

    [Fact]
    public void A_device_that_never_tells_is_never_removed()
    {
        using PciDevice device = new(new FakeDevice());
        Assert.False(device.Removed.IsCompleted);
    }

    [Fact]
    public async Task A_device_that_is_gone_when_it_is_asked_is_removed()
    {
        FakeDevice fake = new();
        fake.AddInterrupt(InterruptIndex.Request, 1);
        using PciDevice device = new(fake);
        fake.Refusal = Errno.NoDevice;
        fake.Config(0x0e, 0xff);
        Assert.Equal(RemovalReason.Removed, await device.Removed.WaitAsync(TestTimeout));
    }

    [Fact]
    public async Task An_owners_request_comes_over_a_socket()
    {
        using GuardedFunction guard = new(new EduFunction());
        using LocalServer server = new(guard.Open);
        using PciDevice device = new(VfioDevice.Open(server.Address));
        Task<RemovalReason> removed = device.Removed;
        guard.RequestBack();
        Assert.Equal(RemovalReason.ReleaseRequested, await removed.WaitAsync(TestTimeout));
    }

    [Theory]
    [InlineData("")]
    [InlineData("?reconnect=50ms")]
    public async Task A_server_that_ends_takes_its_device_along(string option)
    {
        using GuardedFunction guard = new(new EduFunction());
        LocalServer server = new(guard.Open);
        using PciDevice device = new(VfioDevice.Open(server.Address + option));
        Task<RemovalReason> removed = device.Removed;
        Assert.False(removed.IsCompleted);
        server.Dispose();
        Assert.Equal(RemovalReason.Removed, await removed.WaitAsync(TestTimeout));
        Assert.False(device.IsPresent);
    }

    [Fact]
    public async Task A_connection_that_was_lost_before_it_was_asked_is_told_at_once()
    {
        using GuardedFunction guard = new(new EduFunction());
        LocalServer server = new(guard.Open);
        using PciDevice device = new(VfioDevice.Open(server.Address));
        server.Dispose();
        Assert.Equal(RemovalReason.Removed, await device.Removed.WaitAsync(TestTimeout));
    }

    [Fact]
    public async Task A_client_that_is_disposed_was_not_removed()
    {
        using GuardedFunction guard = new(new EduFunction());
        using LocalServer server = new(guard.Open);
        Task removed;
        using (VfioUserClient client = VfioUserClient.Connect(server.Address[5..]))
            removed = client.Removed;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => removed.WaitAsync(TestTimeout));
    }
}
