using Vfio.Drivers.Ethernet;
using Vfio.Drivers.Igb;

namespace Vfio.Tests.Drivers;

/// <summary>A virtual function and its mailbox; numbers are the 82576 datasheet's, messages those of Linux.</summary>
public sealed class IgbVirtualFunctionTests
{
    private readonly IgbVirtualStandIn _device = new();

    [Fact]
    public void The_reset_handshake_brings_the_address()
    {
        using IgbPort port = new(_device);

        Assert.True(port.IsVirtualFunction);
        Assert.Equal("02:12:34:56:9a:bc", port.Address.ToString());
        Assert.Equal(1u, _device.Messages[0]);
        Assert.DoesNotContain(2u, _device.Messages);
    }

    [Fact]
    public void Without_an_address_it_requests_a_random_one()
    {
        _device.Given = default;
        using IgbPort port = new(_device);

        Assert.True(port.Address is { IsStation: true, IsLocal: true });
        Assert.Contains(2u, _device.Messages);
        byte[] octets = [.. BitConverter.GetBytes(_device.Written.Low), .. BitConverter.GetBytes(_device.Written.High).AsSpan(0, 2)];
        Assert.Equal(port.Address, MacAddress.Read(octets));
    }

    [Fact]
    public void An_address_of_ones_choice_is_asked_for_and_may_be_refused()
    {
        Assert.True(MacAddress.TryParse("02:11:22:33:44:55", out MacAddress wanted));
        using (IgbPort port = new(_device, new IgbOptions { Address = wanted }))
            Assert.Equal((0x33221102u, 0x00005544u), _device.Written);

        IgbVirtualStandIn strict = new() { IsTrusted = false };
        VfioException error = Assert.Throws<VfioException>(() => new IgbPort(strict, new IgbOptions { Address = wanted }));
        Assert.Equal(Errno.OperationNotPermitted, error.Errno);
        Assert.True(strict.IsDisposed);
    }

    [Fact]
    public void Promiscuous_mode_is_a_message_that_may_be_refused()
    {
        using IgbPort port = new(_device);
        port.IsPromiscuous = true;
        Assert.Equal(0x0002_0006u, _device.Messages[^1]);
        port.IsPromiscuous = false;
        Assert.Equal(6u, _device.Messages[^1]);

        _device.IsTrusted = false;
        Assert.Equal(Errno.OperationNotPermitted, Assert.Throws<VfioException>(() => port.IsPromiscuous = true).Errno);
        Assert.False(port.IsPromiscuous);
    }

    [Fact]
    public void A_message_of_the_physical_functions_own_is_not_taken_for_the_reply()
    {
        _device.Interrupts = true;
        using IgbPort port = new(_device);

        Assert.Equal("02:12:34:56:9a:bc", port.Address.ToString());
    }

    [Fact]
    public void Without_a_driver_at_the_physical_function_opening_fails_with_a_hint()
    {
        _device.IsAnswered = false;

        VfioException error = Assert.Throws<VfioException>(() => new IgbPort(_device));
        Assert.Equal(Errno.TimedOut, error.Errno);
        Assert.Contains("physical function", error.Message);
    }

    [Fact]
    public void A_reset_of_the_physical_function_ends_the_wait()
    {
        using IgbPort port = new(_device);
        _device.ResetPhysical();

        Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(() => port.Wait(HangGuard.Timeout)).Errno);
    }

    [Fact]
    public void Its_queues_are_at_their_own_place()
    {
        using IgbPort port = new(_device);
        Assert.Equal(512u * 16, _device[0x2808]);
        Assert.Equal(512u * 16, _device[0x3808]);
        Assert.Equal(0x8200_0002u, _device[0x280c]);
        Assert.Equal(0x80u, _device[0x1700]);
        Assert.True(_device.Deliver(new byte[64]));
        EthernetFrame[] frames = new EthernetFrame[4];
        Assert.Equal(1, port.Receive(frames));
        Assert.Equal(1, port.Transmit(frames.AsSpan(0, 1)));
        Assert.Single(_device.Sent);
    }
}
