using Vfio.Native;
using Vfio.Tests.Guard;

namespace Vfio.Tests.User;

/// <summary>Eventfds that the other side of a socket changes under those who wait for them and signal them.</summary>
public sealed class HostileEventTests
{
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(60);

    [Fact]
    public void Signals_that_are_drained_by_another_process_block_no_doorbell()
    {
        using GuardedServer server = new(new BellFunction());
        using RawPeer peer = new(server.Connect());
        peer.Negotiate();
        _ = peer.Ask(6, [4096, 0, 0, 0]).Success;
        using FileDescriptor teased = peer.Descriptors.Take()!;
        HeldEvent.Block(teased);
        HeldEvent.Tease(teased, 5000);
        _ = peer.Ask(13, []).Success;
        _ = peer.Ask(10, [4ul, 7, 2, new byte[] { 3, 0 }]).Success;

        // Whatever was received of those: the next one is.
        using EventFd bell = EventFd.TryHold(teased)!;
        uint before = Rings(peer);
        bell.Signal();
        Assert.True(SpinWait.SpinUntil(() => Rings(peer) > before, TestTimeout));
    }

    [Fact]
    public async Task A_server_that_takes_its_signals_back_keeps_no_waiter_of_another_interrupt()
    {
        Driver.FakeDevice device = new();
        device.AddInterrupt(InterruptIndex.Msi, 2);
        using PciDevice pci = new(device);
        using InterruptSet vectors = pci.Interrupts.Enable(2);
        HeldEvent.Block(vectors[0].Event.Descriptor);
        using CancellationTokenSource end = new();
        Task teased = vectors[0].WaitAsync(end.Token).AsTask();
        HeldEvent.Tease(vectors[0].Event.Descriptor, 5000);
        Task good = vectors[1].WaitAsync(TestContext.Current.CancellationToken).AsTask();
        vectors[1].Event.Signal();
        await good.WaitAsync(TestTimeout, TestContext.Current.CancellationToken);
        await end.CancelAsync();
        await Task.WhenAny(teased).WaitAsync(TestTimeout, TestContext.Current.CancellationToken);

        // Disposing wakes who waits, by a signal; filled, that would wait.
        HeldEvent.Fill(vectors[0].Event.Descriptor);
        await Task.Factory.StartNew(vectors.Dispose, TaskCreationOptions.LongRunning).WaitAsync(TestTimeout, TestContext.Current.CancellationToken);
    }

    private static uint Rings(RawPeer peer) => BitConverter.ToUInt32(peer.Ask(9, [0ul, 0, 4]).Success, 16);
}
