using System.Security.Cryptography;
using Vfio.Drivers.Ethernet;
using static Vfio.Drivers.Igb.IgbRegisters;
using static Vfio.Drivers.Igb.IgbVirtualRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>A virtual function: two queues, and a mailbox to the driver of the physical function, which allows all else.</summary>
/// <remarks>82576 Datasheet, sections 4.5.11.2 and 7.10.2.9.</remarks>
internal sealed class IgbVirtualFunction(PciDevice device, Bar registers) : IgbFunction(device, registers)
{
    private readonly IgbMailbox _mailbox = new(device.Name, registers);
    private MacAddress? _given;

    /// <inheritdoc/>
    internal override long ReceiveQueue => IgbVirtualRegisters.ReceiveQueue;

    /// <inheritdoc/>
    internal override long TransmitQueue => IgbVirtualRegisters.TransmitQueue;

    /// <summary>Whoever does not take its frames must not hold up the other functions.</summary>
    internal override uint SplitControl => IgbQueueRegisters.DropWhenEmpty;

    /// <inheritdoc/>
    internal override void Reset()
    {
        const string Operation = "reset of the virtual function";
        ReadStatus(Operation);
        Registers.Write32(InterruptMaskClear, uint.MaxValue);
        Registers.Write32(Control, Registers.Read32(Control) | IgbRegisters.Reset);
        _mailbox.AwaitPhysicalFunction();
        Span<uint> message = [ResetMessage, 0, 0];

        // Refused where the physical function has no address for it: the handshake is over all the same.
        bool hasAddress = _mailbox.Ask(Operation, message);
        MacAddress given = IgbAddress.Read(message[1], message[2]);
        _given = hasAddress && given.IsStation ? given : null;
        Registers.Read32(InterruptCause);
    }

    /// <inheritdoc/>
    internal override MacAddress Adopt(MacAddress? wanted)
    {
        MacAddress address = wanted ?? _given ?? RandomAddress();
        Span<uint> message = [SetAddressMessage, IgbAddress.Low(address), IgbAddress.High(address)];
        if (address != _given && !_mailbox.Ask($"change of the address to {address}", message))
        {
            throw new VfioException(
                $"change of the address to {address}", Name, Errno.OperationNotPermitted,
                "the physical function's driver gave it another: ip link set DEVICE vf N mac");
        }

        return address;
    }

    /// <inheritdoc/>
    internal override void Enable() => _ = _mailbox.Ask("setting of the longest frame", [SetLongestMessage, LongestOnWire]);

    /// <inheritdoc/>
    /// <remarks>Linux lets a virtual function have all groups; no driver lets it have what is sent to others.</remarks>
    internal override void SetPromiscuous(bool value)
    {
        const string Operation = "change of the promiscuous mode";
        if (!_mailbox.Ask(Operation, [SetPromiscuousMessage | (value ? PromiscuousGroups : 0)]))
        {
            throw new VfioException(
                Operation, Name, Errno.OperationNotPermitted, "the physical function's driver refused: ip link set DEVICE vf N trust on");
        }
    }

    /// <inheritdoc/>
    public override void ThrowIfDead(string operation)
    {
        if (_mailbox.WasReset())
            throw new VfioException(operation, Name, Errno.ConnectionReset, "the physical function was reset; open the port again");
        base.ThrowIfDead(operation);
    }

    /// <inheritdoc/>
    internal override void Stop()
    {
        base.Stop();
        Registers.Write32(Control, Registers.Read32(Control) | IgbRegisters.Reset);
    }

    private static MacAddress RandomAddress()
    {
        Span<byte> octets = stackalloc byte[MacAddress.Bytes];
        RandomNumberGenerator.Fill(octets);

        // Local, and no group.
        octets[0] = (byte)(octets[0] & 0xfc | 0x02);
        return MacAddress.Read(octets);
    }
}
