using Vfio.Devices;
using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;
using Vfio.Guard;

namespace Vfio.Tests.Drivers;

/// <summary>Our drivers at every function of one model of the 82576: the physical one serves the mailboxes, the virtual ones get addresses and
/// frames.</summary>
public sealed class IgbVirtualOverModelTests : IDisposable
{
    private readonly GuardedFunction _function = ModelCatalog.CreateGuarded(
        "igb", new Dictionary<string, string> { ["vfs"] = "2", ["mac"] = "02:00:00:00:00:01", ["net"] = "loop" });

    private volatile bool _isStopped;
    private Task _serving = Task.CompletedTask;

    public void Dispose()
    {
        Stop();
        _function.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Frames_of_every_length_go_between_all_of_them(bool interrupts)
    {
        IgbOptions options = new() { Interrupts = interrupts };
        using IgbPort physical = OpenPhysical(options);
        using IgbPort first = new(_function.VirtualFunctions[0].Open(), options);
        using IgbPort second = new(_function.VirtualFunctions[1].Open(), options);
        IgbPort[] ports = [physical, first, second];
        Assert.Equal([false, true, true], ports.Select(port => port.IsVirtualFunction));
        Assert.Equal(3, ports.Select(port => port.Address).Distinct().Count());
        Assert.True(SpinWait.SpinUntil(() => ports.All(port => port.IsLinkUp), HangGuard.Timeout));
        foreach (IgbPort from in ports)
        {
            foreach (IgbPort to in ports.Where(port => port != from))
            {
                for (int length = 60; length <= 1514; length += 363)
                {
                    byte[] frame = FrameOf(to.Address, from.Address, length);
                    Assert.True(from.TrySend(frame));
                    Assert.Equal(frame, Receive(to));
                }
            }
        }
    }

    [Fact]
    public void A_virtual_function_cannot_send_from_anothers_address_but_may_change_its_own()
    {
        using IgbPort physical = OpenPhysical(new IgbOptions { VirtualFunctionsMayChangeAddress = true });
        Assert.True(MacAddress.TryParse("02:00:00:00:00:77", out MacAddress wanted));
        using IgbPort first = new(_function.VirtualFunctions[0].Open(), new IgbOptions { Address = wanted });
        Assert.Equal(wanted, first.Address);
        Assert.True(first.TrySend(FrameOf(physical.Address, physical.Address, 60)));
        byte[] own = FrameOf(physical.Address, wanted, 60);
        Assert.True(first.TrySend(own));
        Assert.Equal(own, Receive(physical));
        byte[] back = FrameOf(wanted, physical.Address, 60);
        Assert.True(physical.TrySend(back));
        Assert.Equal(back, Receive(first));
    }

    [Fact]
    public void A_reset_of_the_physical_function_ends_the_wait_of_a_virtual_one_and_opening_again_goes_on()
    {
        using (IgbPort physical = OpenPhysical())
        {
            using IgbPort first = new(_function.VirtualFunctions[0].Open());
            Stop();
            physical.Dispose();
            Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(() => first.Wait(HangGuard.Timeout)).Errno);
        }

        using IgbPort again = OpenPhysical();
        using IgbPort anew = new(_function.VirtualFunctions[0].Open());
        byte[] frame = FrameOf(again.Address, anew.Address, 100);
        Assert.True(anew.TrySend(frame));
        Assert.Equal(frame, Receive(again));
    }

    [Fact]
    public void Without_a_driver_at_the_physical_function_a_virtual_one_says_what_is_missing()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => new IgbPort(_function.VirtualFunctions[0].Open()));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
        Assert.Contains("physical function", refusal.Message);
    }

    [Fact]
    public void What_a_virtual_function_may_not_ask_for_is_refused()
    {
        using IgbPort physical = OpenPhysical();
        using PciDevice raw = new(_function.VirtualFunctions[0].Open());
        Bar registers = raw.OpenBar(0);

        // SET_MC_ADDR before the reset handshake, then nonsense after it; answers have bit 30, and nothing else is decided by it.
        Assert.Equal(0x4000_0003u, Ask(registers, 3));
        Assert.Equal(0x8000_0001u, Ask(registers, 1));
        Assert.Equal(0x60ff_ffffu, Ask(registers, 0xffff_ffff));
        Assert.Equal(0x6000_0002u, Ask(registers, 2, 0xffff_ffff, 0xffff));
        Assert.Equal(0x6000_0005u, Ask(registers, 5, 0xffff_ffff));
        Assert.Equal(0x60ff_0006u, Ask(registers, 0x00ff_0006));

        // 255 hashes do not fit the mailbox: 30 are taken.
        Assert.Equal(0xa0ff_0003u, Ask(registers, 0x00ff_0003, 0x0fff_0fff));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_virtual_function_gets_the_address_of_no_other(bool mayChange)
    {
        using IgbPort physical = OpenPhysical(new IgbOptions { VirtualFunctionsMayChangeAddress = mayChange });
        using IgbPort second = new(_function.VirtualFunctions[1].Open());
        using PciDevice raw = new(_function.VirtualFunctions[0].Open());
        Bar registers = raw.OpenBar(0);
        Assert.Equal(0x8000_0001u, Ask(registers, 1));
        (uint low, uint high) = (registers.Read32(0x0804), registers.Read32(0x0808));
        foreach (MacAddress taken in (MacAddress[])[physical.Address, second.Address])
        {
            byte[] octets = new byte[8];
            taken.Write(octets);
            Assert.Equal(0x6000_0002u, Ask(registers, 2, BitConverter.ToUInt32(octets), BitConverter.ToUInt32(octets, 4)));
        }

        // 02:00:00:00:00:77, which nobody has; and igbvf's requests to clear and to add further addresses.
        Assert.Equal(mayChange ? 0xa000_0002u : 0x6000_0002u, Ask(registers, 2, 0x0000_0002, 0x7700));
        Assert.Equal(0x6001_0002u, Ask(registers, 0x0001_0002, 0, 0));
        Assert.Equal(0x6002_0002u, Ask(registers, 0x0002_0002, low, high));

        // Its own it gets always, and after a reset again.
        Assert.Equal(0xa000_0002u, Ask(registers, 2, low, high));
        registers.Write32(0, 1 << 26);
        Assert.Equal(0x8000_0001u, Ask(registers, 1));
        Assert.Equal((low, high), (registers.Read32(0x0804), registers.Read32(0x0808)));
    }

    [Fact]
    public void The_groups_of_a_virtual_function_are_those_of_its_last_message_and_end_with_its_reset()
    {
        using IgbPort physical = OpenPhysical();
        Bar port = physical.Device.OpenBar(0);
        using PciDevice one = new(_function.VirtualFunctions[0].Open()), other = new(_function.VirtualFunctions[1].Open());
        Bar first = one.OpenBar(0), second = other.OpenBar(0);
        Assert.Equal((0x8000_0001u, 0x8000_0001u), (Ask(first, 1), Ask(second, 1)));

        // Hashes 0x021 and 0x022, and 0x022: bits 1 and 2 of MTA[1].
        Assert.Equal(0xa002_0003u, Ask(first, 0x0002_0003, 0x0022_0021));
        Assert.Equal(0xa001_0003u, Ask(second, 0x0001_0003, 0x0022));
        Assert.Equal(6u, port.Read32(0x5204));
        Assert.Equal(0xa001_0003u, Ask(first, 0x0001_0003, 0x0fff));
        Assert.Equal((4u, 0x8000_0000u), (port.Read32(0x5204), port.Read32(0x53fc)));
        first.Write32(0, 1 << 26);
        Assert.True(SpinWait.SpinUntil(() => port.Read32(0x53fc) == 0, HangGuard.Timeout));
        Assert.Equal(4u, port.Read32(0x5204));

        // Nor is its address anybody's, until it is back: RAH[1].
        Assert.Equal(0u, port.Read32(0x540c));
    }

    [Fact]
    public void The_users_of_each_function_reach_their_own_memory_and_reset_their_own_function()
    {
        using IgbPort physical = OpenPhysical();
        using IgbPort second = new(_function.VirtualFunctions[1].Open());
        for (int i = 0; i < 20; i++)
            new IgbPort(_function.VirtualFunctions[0].Open()).Dispose();
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => _function.VirtualFunctions[1].Open()).Errno);
        byte[] frame = FrameOf(physical.Address, second.Address, 60);
        Assert.True(second.TrySend(frame));
        Assert.Equal(frame, Receive(physical));
        Assert.Equal("model:igb.vf1", _function.VirtualFunctions[1].Name);
        Assert.Equal(0, _function.VirtualFunctions[1].RefusalsOfUser.DmaAccesses);
    }

    [Fact]
    public void Its_user_does_not_decide_on_virtual_functions()
    {
        using PciDevice physical = new(_function.Open());

        // SR-IOV is at 0x160; its control at 0x168, the number of functions at 0x170. The guard drops the writes.
        physical.Config.Write16(0x168, 0);
        physical.Config.Write16(0x170, 7);
        Assert.Equal((0x0009, 2), (physical.Config.Read16(0x168), physical.Config.Read16(0x170)));
        Assert.Equal(2, _function.VirtualFunctions.Count);
    }

    private IgbPort OpenPhysical(IgbOptions? options = null)
    {
        Stop();
        _isStopped = false;
        IgbPort port = new(_function.Open(), options);
        Assert.Equal(2, port.VirtualFunctions);
        _serving = Task.Factory.StartNew(
            () =>
            {
                while (!_isStopped)
                {
                    try
                    {
                        if (port.ServeVirtualFunctions() == 0)
                            Thread.Yield();
                    }
                    catch (ObjectDisposedException)
                    {
                        return;
                    }
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        return port;
    }

    private void Stop()
    {
        _isStopped = true;
        Assert.True(_serving.Wait(HangGuard.Timeout));
    }

    private static uint Ask(Bar registers, params uint[] message)
    {
        const long Memory = 0x0800, Mailbox = 0x0c40;
        Assert.True(SpinWait.SpinUntil(() => Own() != 0, HangGuard.Timeout));
        for (int i = 0; i < message.Length; i++)
            registers.Write32(Memory + (4 * i), message[i]);
        registers.Write32(Mailbox, 1);
        Assert.True(SpinWait.SpinUntil(() => (registers.Read32(Mailbox) & 0x10) != 0, HangGuard.Timeout));
        return registers.Read32(Memory);

        uint Own()
        {
            registers.Write32(Mailbox, 4);
            return registers.Read32(Mailbox) & 4;
        }
    }

    private static byte[] FrameOf(MacAddress to, MacAddress from, int length)
    {
        byte[] frame = new byte[length];
        to.Write(frame);
        from.Write(frame.AsSpan(6));
        frame[12] = 0x88;
        frame[13] = 0xb5;
        for (int i = 14; i < length; i++)
            frame[i] = (byte)(i * 7);
        return frame;
    }

    private static byte[] Receive(IgbPort port)
    {
        EthernetFrame[] frames = new EthernetFrame[1];
        Assert.True(port.Wait(HangGuard.Timeout), $"no frame came at {port.Name}");
        Assert.Equal(1, port.Receive(frames));
        byte[] bytes = port.Buffers.Read(frames[0], new byte[2048]).ToArray();
        port.Return(frames);
        return bytes;
    }
}
