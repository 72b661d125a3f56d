using System.Runtime.CompilerServices;
using Vfio.Guard.Function;
using Vfio.Guard.Interrupts;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Config;

/// <summary>The Command register. The user's decode bits act on the user's accesses only, INTx disable masks its interrupt, and bus
/// mastering starts off unless the owner decided otherwise.</summary>
/// <remarks>PCI Local Bus 3.0, section 6.2.2. In the hardware decoding stays on, so that the owner's addresses keep working.</remarks>
internal sealed class CommandRegister(
    FunctionLayout layout,
    ConfigShadow shadow,
    OwnerState owner,
    GuardedInterrupts interrupts,
    IResetTarget target,
    bool startAsBusMaster) : ConfigRegisterHandler
{
    private const int Offset = 0x04, IoBit = 0, MemoryBit = 1, IntxDisableBit = 10;
    private const uint IoAndMemory = 3, BusMaster = 4;
    private volatile bool _isBusMaster;

    /// <summary>Whether the device may use memory and send messages. Any thread may read it.</summary>
    internal bool IsBusMaster => _isBusMaster;

    internal override IEnumerable<int> Offsets => [Offset];

    /// <summary>Whether decoding is on for a BAR or the ROM.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Decodes(RegionIndex region) =>
        layout.IsIo(region) ? shadow.ReadBit(Offset, IoBit) : layout.IsVirtual || shadow.ReadBit(Offset, MemoryBit);

    internal override void Reset(bool byUser)
    {
        shadow.Write(Offset, 2, byUser ? 0 : IoAndMemory);
        SetBusMaster(!byUser && startAsBusMaster && StartBusMaster());
        interrupts.SetIntxDisabled(false);
    }

    internal override void AfterRead(int offset, int width, uint hardware)
    {
        if (_isBusMaster && Covers(offset, width, Offset) && (hardware >> (8 * (Offset - offset)) & BusMaster) == 0)
            target.FoundReset();
    }

    internal override void AfterWrite(int offset, int width)
    {
        // The hardware decides: the bit may be wired to 0.
        if (Covers(offset, width, Offset))
            SetBusMaster(MayMaster());
        interrupts.SetIntxDisabled(shadow.ReadBit(Offset, IntxDisableBit));
        if ((shadow.Read(Offset, 2) & IoAndMemory) != 0 && owner.HasLostDecode)
            target.RestoreLost();
    }

    /// <summary>Ends bus mastering at once. The caller clears the hardware's bit.</summary>
    internal void StopBusMaster() => SetBusMaster(false);

    private void SetBusMaster(bool isBusMaster)
    {
        _isBusMaster = isBusMaster;
        interrupts.SetBusMaster(isBusMaster);
    }

    private bool StartBusMaster()
    {
        layout.Function.WriteConfig(Offset, 2, layout.Function.ReadConfig(Offset, 2) | BusMaster);
        return MayMaster();
    }

    private bool MayMaster() => (layout.Function.ReadConfig(Offset, 2) & BusMaster) != 0;
}
