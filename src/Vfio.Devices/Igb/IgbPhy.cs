namespace Vfio.Devices.Igb;

/// <summary>The PHY behind MDIC: 1000BASE-T with a partner that can do all it can. Negotiation takes no time.</summary>
/// <remarks>IEEE 802.3, clause 22, and 82576 Datasheet, section 8.2.4. By the thread of an access.</remarks>
internal sealed class IgbPhy
{
    private const int Control = 0, Status = 1, PortStatus = 17, PageSelect = 31;
    private const uint Read = 2, Write = 1, Ready = 1u << 28, InterruptWhenDone = 1u << 29, Failed = 1u << 30;
    private const ushort Reset = 0x8000, Loopback = 0x4000, PowerDown = 0x0800, Restart = 0x0200;
    private const ushort LinkUp = 0x0004, Negotiated = 0x0020, PortLinkUp = 0x0400;

    private static readonly ushort[] AfterReset = MakeAfterReset();

    // Those that a driver writes: control, advertisement, next page, 1000BASE-T control, and what the vendor has.
    private static readonly int[] WritableRegisters = [Control, 4, 7, 9, 16, 18, 20, 21, 22, 23, 24, 25, 29, 30, PageSelect];

    private readonly ushort[] _registers = [.. AfterReset];

    /// <summary>Whether frames that are sent come back at once.</summary>
    internal bool IsLoopedBack => (_registers[Control] & Loopback) != 0;

    /// <summary>Whether it has no power, and so no link.</summary>
    internal bool IsPoweredDown => (_registers[Control] & PowerDown) != 0;

    /// <summary>Does what a write of MDIC orders.</summary>
    /// <param name="command">What was written.</param>
    /// <param name="isCableUp">Whether the partner is there.</param>
    /// <param name="isRestarted">Whether the link went down and came up again.</param>
    /// <returns>What MDIC holds then.</returns>
    internal uint Do(uint command, bool isCableUp, out bool isRestarted)
    {
        const uint PhyAddress = 1;
        isRestarted = false;
        int register = (int)(command >> 16 & 0x1f);
        uint result = command & ~(Ready | Failed);
        if ((command >> 21 & 0x1f) != PhyAddress)
            return result | Ready | Failed;
        if ((command >> 26 & 3) == Read)
            return (result & 0xffff_0000) | ReadRegister(register, isCableUp) | Ready;
        if ((command >> 26 & 3) != Write)
            return result | Ready | Failed;
        isRestarted = WriteRegister(register, (ushort)command);
        return result | Ready;
    }

    /// <summary>Whether a write of MDIC asks for an interrupt at its end.</summary>
    internal static bool WantsInterrupt(uint command) => (command & InterruptWhenDone) != 0;

    /// <summary>Brings the registers to where they are after power-on.</summary>
    internal void ResetAll() => AfterReset.CopyTo(_registers, 0);

    private ushort ReadRegister(int register, bool isCableUp)
    {
        bool isUp = isCableUp && !IsPoweredDown;
        return register switch
        {
            Status => (ushort)(_registers[Status] | (isUp ? LinkUp | Negotiated : 0)),
            PortStatus => (ushort)(_registers[PortStatus] | (isUp ? PortLinkUp : 0)),
            5 or 10 when !isUp => 0,
            _ => _registers[register],
        };
    }

    private bool WriteRegister(int register, ushort value)
    {
        if (Array.IndexOf(WritableRegisters, register) < 0)
            return false;
        if (register != Control)
        {
            _registers[register] = value;
            return false;
        }

        if ((value & Reset) != 0)
        {
            ResetAll();
            return true;
        }

        _registers[Control] = (ushort)(value & ~Restart);
        return (value & Restart) != 0;
    }

    private static ushort[] MakeAfterReset()
    {
        ushort[] registers = new ushort[32];
        registers[Control] = 0x1140;        // negotiates, full duplex, 1000 Mb/s
        registers[Status] = 0x7949;         // 10 and 100 Mb/s, more in register 15, can negotiate
        registers[2] = 0x02a8;              // identifier of the internal PHY
        registers[3] = 0x0391;
        registers[4] = 0x0de1;              // offers all of 10 and 100 Mb/s, and pause
        registers[5] = 0xcde1;              // so does the partner
        registers[6] = 0x000f;
        registers[7] = 0x2001;
        registers[9] = 0x0e00;              // 1000BASE-T offered
        registers[10] = 0x7c00;             // by the partner too; both receivers are fine
        registers[15] = 0x3000;             // can do 1000BASE-T
        registers[16] = 0x0120;
        registers[PortStatus] = 0xca00;     // 1000 Mb/s, full duplex, resolved
        registers[25] = 0x008d;
        return registers;
    }
}
