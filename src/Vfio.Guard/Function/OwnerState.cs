using Vfio.Pci;

namespace Vfio.Guard;

/// <summary>The state that a function's owner (firmware, the system) left in its config space, and how it comes back after a
/// reset.</summary>
internal sealed class OwnerState(FunctionLayout layout)
{
    private const int Command = 0x04, FirstBar = 0x10, Rom = 0x30;
    private const uint IntxDisable = 0x400, BusMaster = 4, Memory = 2, Io = 1;

    // Writing these acts on the board or in ways that only the vendor knows; a user's changes end with the reset or not at all.
    private static readonly ushort[] NotRestored = [0x03, 0x09];

    private readonly IPciFunction _function = layout.Function;
    private readonly uint[] _masks = MasksOf(layout);
    private readonly int[] _restored = RestoredOf(layout);
    private readonly uint _decode = DecodeOf(layout);

    /// <summary>Writes back all that a user may have changed and all that a reset loses; bus mastering stays off.</summary>
    /// <param name="isLent">Whether a user has the function: its pin may then interrupt, whatever the owner had set.</param>
    /// <returns>EIO: the function does not answer with its ids.</returns>
    internal Errno Restore(bool isLent)
    {
        if (!layout.IsVirtual && _function.ReadConfig(0, 4) != layout.Space.Read32(0))
            return Errno.InputOutput;
        foreach (int offset in _restored)
            Restore(offset);
        RestoreCommand(BusMaster | _masks[Command / 4], _decode, isLent ? IntxDisable : 0);
        return Errno.None;
    }

    /// <summary>Writes the BARs back when decoding was lost behind the guard's back: the device reset itself.</summary>
    internal void RestoreDecode()
    {
        if ((_function.ReadConfig(Command, 2) & _decode) == _decode)
            return;
        for (int offset = FirstBar; offset < FirstBar + 24; offset += 4)
            Restore(offset);
        Restore(Rom);
        RestoreCommand(Io | Memory, _decode);
    }

    /// <summary>Turns bus mastering off in the hardware.</summary>
    internal void StopBusMaster() => RestoreCommand(BusMaster, 0);

    private static uint[] MasksOf(FunctionLayout layout)
    {
        uint[] masks = new uint[layout.Space.Length / 4];
        for (int i = 0; i < masks.Length; i++)
            masks[i] = layout.Rules.Mask(BitRule.PassedThrough, 4 * i, 4) | layout.Rules.Mask(BitRule.Virtual, 4 * i, 4);
        foreach (Capability item in layout.Capabilities.Items.Where(item => !item.IsExtended && NotRestored.Contains(item.Id)))
            Array.Clear(masks, item.Offset / 4, Math.Min((item.LengthBytes + 3) / 4, masks.Length - (item.Offset / 4)));
        return masks;
    }

    /// <summary>Where there is anything to restore, but for Command, which comes last.</summary>
    private static int[] RestoredOf(FunctionLayout layout)
    {
        uint[] masks = MasksOf(layout);
        return [.. Enumerable.Range(0, masks.Length).Where(i => masks[i] != 0 && i != Command / 4).Select(i => 4 * i)];
    }

    /// <summary>The decoding that its BARs need; a virtual function has no such bits.</summary>
    private static uint DecodeOf(FunctionLayout layout)
    {
        uint decode = 0;
        for (uint i = 0; i <= RegionIndex.Rom.Value && !layout.IsVirtual; i++)
        {
            RegionIndex region = new(i);
            if (layout.Function.GetLength(region) != 0)
                decode |= layout.IsIo(region) ? Io : Memory;
        }

        return decode;
    }

    private void Restore(int offset)
    {
        uint mask = _masks[offset / 4];
        if (mask == 0)
            return;
        uint saved = layout.Space.Read32(offset);
        uint now = _function.ReadConfig(offset, 4);
        uint status = layout.Rules.Mask(BitRule.FixedStatus, offset, 4) | layout.Rules.Mask(BitRule.WriteOneToClear, offset, 4);
        if (((now ^ saved) & mask) != 0)
            _function.WriteConfig(offset, 4, (now & ~mask & ~status) | (saved & mask));
    }

    private void RestoreCommand(uint mask, uint set, uint clear = 0)
    {
        uint saved = (layout.Space.Read16(Command) & ~(BusMaster | Memory | Io)) | set;
        uint now = _function.ReadConfig(Command, 2);
        uint value = ((now & ~mask) | (saved & mask)) & ~clear;
        if (value != now)
            _function.WriteConfig(Command, 2, value & 0xffff);
    }
}
