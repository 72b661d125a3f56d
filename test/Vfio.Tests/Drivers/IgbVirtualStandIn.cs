namespace Vfio.Tests.Drivers;

/// <summary>A virtual function of the stand-in, and the driver of its physical function as Linux has it.</summary>
internal sealed class IgbVirtualStandIn : IgbStandIn
{
    private const uint Mailbox = 0x0c40, Memory = 0x0800;
    private bool _clearToSend;
    private uint? _pending;

    internal IgbVirtualStandIn()
        : base(0x10ca) => this[Status] |= 2;

    /// <summary>The address that the physical function has for it: two dwords; zeros for none.</summary>
    internal (uint Low, uint High) Given { get; set; } = (0x56341202, 0x0000bc9a);

    /// <summary>Whether the address may be changed, and the function be promiscuous.</summary>
    internal bool IsTrusted { get; set; } = true;

    /// <summary>Whether the physical function has a driver.</summary>
    internal bool IsAnswered { get; set; } = true;

    /// <summary>Whether a message of its own comes before each reply.</summary>
    internal bool Interrupts { get; set; }

    /// <summary>The first dwords of messages that it got.</summary>
    internal List<uint> Messages { get; } = [];

    /// <summary>The address that the driver wrote.</summary>
    internal (uint Low, uint High) Written { get; private set; }

    /// <summary>Resets the physical function.</summary>
    internal void ResetPhysical() => this[Mailbox] |= 0x40;

    protected override uint OnRead(uint register)
    {
        uint value = this[register];

        // PFSTS, PFACK and RSTD are cleared by the read.
        if (register == Mailbox)
            this[Mailbox] = value & ~0xb0u;
        return value;
    }

    protected override void OnWrite(uint register, uint value)
    {
        if (register != Mailbox)
        {
            base.OnWrite(register, value);
            return;
        }

        this[Mailbox] = (this[Mailbox] & ~4u) | (value & 4);
        if ((value & 1) != 0 && IsAnswered)
            Answer();
        else if ((value & 2) != 0 && _pending is { } pending)
            Reply(pending);
    }

    private void Answer()
    {
        uint message = this[Memory];
        Messages.Add(message);
        this[Mailbox] |= 0x20;
        uint reply = message | 0x8000_0000 | (_clearToSend ? 0x2000_0000u : 0);
        switch (message & 0xffff)
        {
            case 1:
                _clearToSend = true;
                this[Memory + 4] = Given.Low;
                this[Memory + 8] = Given.High;
                if (Given == default)
                    reply = 0x4000_0001;
                break;
            case 2 when IsTrusted:
                Written = (this[Memory + 4], this[Memory + 8]);
                break;
            case 5:
                break;
            case 6 when IsTrusted && (message & ~0x0002_0006u) == 0:
                break;
            default:
                reply = message | 0x6000_0000;
                break;
        }

        if (Interrupts)
        {
            _pending = reply;
            Put(0x2000_0100);
        }
        else
        {
            Put(reply);
        }
    }

    private void Reply(uint reply)
    {
        _pending = null;
        Put(reply);
    }

    private void Put(uint message)
    {
        this[Memory] = message;
        this[Mailbox] |= 0x10;
    }
}
