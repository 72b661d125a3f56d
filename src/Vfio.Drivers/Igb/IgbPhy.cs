using static Vfio.Drivers.Igb.IgbPhysicalRegisters;

namespace Vfio.Drivers.Igb;

/// <summary>The PHY of the physical function: asks it to find its partner.</summary>
/// <remarks>Registers by IEEE 802.3, clause 22, through MDIC: 82576 Datasheet, section 8.2.4. Firmware may use it too, so it is
/// taken first: section 4.7.</remarks>
internal sealed class IgbPhy(string name, Bar registers)
{
    private const uint PhyAddress = 1u << 21, Write = 1u << 26, Read = 2u << 26, Ready = 1u << 28, Failed = 1u << 30;
    private const uint SemaphoreTaken = 1 << 0, SemaphoreConfirmed = 1 << 1;
    private const int BasicControl = 0;
    private const uint PowerDown = 0x0800, AutonegotiationEnable = 0x1000, RestartAutonegotiationBit = 0x0200;
    private static readonly TimeSpan AccessTimeout = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SemaphoreTimeout = TimeSpan.FromSeconds(1);

    // SW_PHY_SM of port 0 and of port 1, and the firmware's of the same.
    private readonly uint _software = IsSecondPort(registers) ? 0x0000_0004u : 0x0000_0002u;
    private readonly uint _firmware = IsSecondPort(registers) ? 0x0004_0000u : 0x0002_0000u;

    /// <summary>Has it negotiate speed and duplex with whoever is at the other end; the link comes up some time later.</summary>
    /// <exception cref="VfioException">EBUSY: the firmware does not let go of it; ETIMEDOUT, EIO: it does not answer.</exception>
    internal void RestartAutonegotiation()
    {
        Take();
        try
        {
            uint control = Access(BasicControl, Read) & ~PowerDown & 0xffff;
            Access(BasicControl, Write | control | AutonegotiationEnable | RestartAutonegotiationBit);
        }
        finally
        {
            Release();
        }
    }

    // LAN ID of STATUS, bits 3:2: which port of the chip the function is.
    private static bool IsSecondPort(Bar registers) => (registers.Read32(IgbRegisters.Status) & 0x0000_000c) != 0;

    private uint Access(int register, uint command)
    {
        registers.Write32(MdiControl, PhyAddress | (uint)register << 16 | command);
        if (!registers.WaitFor32(MdiControl, Ready, Ready, AccessTimeout))
            throw new VfioException($"access to PHY register {register}", name, Errno.TimedOut);
        uint value = registers.Read32(MdiControl);
        return (value & Failed) == 0 ? value : throw new VfioException($"access to PHY register {register}", name, Errno.InputOutput);
    }

    private void Take()
    {
        if (!SpinWait.SpinUntil(TryTake, SemaphoreTimeout))
            throw new VfioException("access to the PHY", name, Errno.Busy, "the firmware, or another driver, does not let go of it");
    }

    private bool TryTake()
    {
        if (!TryTakeSemaphore())
            return false;
        uint held = registers.Read32(SoftwareFirmwareSync);
        bool isFree = (held & (_software | _firmware)) == 0;
        if (isFree)
            registers.Write32(SoftwareFirmwareSync, held | _software);
        ReleaseSemaphore();
        return isFree;
    }

    private void Release()
    {
        SpinWait.SpinUntil(TryTakeSemaphore, SemaphoreTimeout);
        registers.Write32(SoftwareFirmwareSync, registers.Read32(SoftwareFirmwareSync) & ~_software);
        ReleaseSemaphore();
    }

    // A read of SMBI that gives 0 sets it, for the drivers among each other; SWESMBI, which stays only when the firmware has it not.
    private bool TryTakeSemaphore()
    {
        uint value = registers.Read32(SoftwareSemaphore);
        if ((value & SemaphoreTaken) != 0)
            return false;
        registers.Write32(SoftwareSemaphore, value | SemaphoreTaken | SemaphoreConfirmed);
        if ((registers.Read32(SoftwareSemaphore) & SemaphoreConfirmed) != 0)
            return true;
        ReleaseSemaphore();
        return false;
    }

    private void ReleaseSemaphore() =>
        registers.Write32(SoftwareSemaphore, registers.Read32(SoftwareSemaphore) & ~(SemaphoreTaken | SemaphoreConfirmed));
}
