using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;

namespace Vfio.Guard.Config;

/// <summary>The state that a function's owner (firmware, the system) left in config space when the function was attached, and how it
/// is restored after a reset. It has every field of every register that a table describes, whether the user may write it or not, and what
/// the owner permits beside them: a reset also clears what isolates the function from others.</summary>
internal sealed class OwnerState
{
    private const int Command = 0x04, FirstBar = 0x10, Rom = 0x30;
    private const uint IntxDisable = 0x400, BusMaster = 4, Memory = 2, Io = 1, Enable = 1, PowerStateBits = 3;

    // A write of these has an effect, or one that only the vendor knows: VPD, HyperTransport, vendor-specific, hot-plug and SATA's
    // index and data.
    private static readonly ushort[] NotWritten = [0x03, 0x08, 0x09, 0x0c, 0x12];

    // Vendor-specific, of designated vendors, readiness messages, lane margining, mailboxes, link encryption whose keys are lost.
    private static readonly ushort[] NotWrittenExtended = [0x0b, 0x23, 0x21, 0x27, 0x2e, 0x30];

    // Of the header: cache line and latency, BARs, the ROM's, the interrupt line. Command is restored separately; the others never change.
    private static readonly (int Offset, uint Bits)[] OfHeader =
    [
        (0x0c, 0xffff), .. Enumerable.Range(0, 6).Select(i => (FirstBar + (4 * i), uint.MaxValue)), (Rom, uint.MaxValue), (0x3c, 0xff),
    ];

    private readonly FunctionLayout _layout;
    private readonly IPciFunction _function;
    private readonly uint[] _masks;
    private readonly bool[] _isExcluded;
    private readonly uint _decode;
    private int[] _restored = [];
    private uint _commandMask;

    internal OwnerState(FunctionLayout layout)
    {
        _layout = layout;
        _function = layout.Function;
        _masks = new uint[layout.Space.Length / 4];
        _isExcluded = new bool[_masks.Length];
        _decode = DecodeOf(layout);
        _commandMask = layout.Rules.Mask(BitRule.PassedThrough, Command, 2) | layout.Rules.Mask(BitRule.Virtual, Command, 2);
        foreach (Capability item in layout.Capabilities.Items)
            Add(item);
        foreach ((int offset, uint bits) in OfHeader)
            _masks[offset / 4] = bits;
        SetOrder();
    }

    /// <summary>Whether decoding is off in the hardware although the guard left it on.</summary>
    internal bool HasLostDecode => (_function.ReadConfig(Command, 2) & _decode) != _decode;

    /// <summary>Writes back all that the owner had set; bus mastering stays off.</summary>
    /// <param name="isAssigned">Whether a user has the function. INTx is then enabled, and the owner's MSI and MSI-X settings stay
    /// off.</param>
    /// <returns>EIO: the function does not answer with its ids.</returns>
    internal Errno Restore(bool isAssigned)
    {
        if (!_layout.IsVirtual && _function.ReadConfig(0, 4) != _layout.Space.Read32(0))
            return Errno.InputOutput;
        foreach (int offset in _restored)
            Restore(offset, isAssigned);
        RestoreCommand(BusMaster | _commandMask, _decode, isAssigned ? IntxDisable : 0);
        return Errno.None;
    }

    /// <summary>As <see cref="Restore(bool)"/>, when the user has already written Command.</summary>
    internal void RestoreLost()
    {
        foreach (int offset in _restored)
            Restore(offset, isAssigned: true);
        RestoreCommand(Io | Memory, _decode);
    }

    /// <summary>Disables bus mastering in the hardware.</summary>
    internal void StopBusMaster() => RestoreCommand(BusMaster, 0);

    /// <summary>Adds bits that a user may write from now on: the owner's values are restored when that user closes the device.</summary>
    internal void Permit(int offset, uint writeBits)
    {
        if (offset == Command)
            _commandMask |= writeBits & 0xffff;
        if (offset == Command || _isExcluded[offset / 4])
            return;
        _masks[offset / 4] |= writeBits;
        SetOrder();
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

    private void Add(Capability item)
    {
        bool isExcluded = (item.IsExtended ? NotWrittenExtended : NotWritten).Contains(item.Id);
        int end = Math.Min((item.Offset + item.LengthBytes + 3) / 4, _masks.Length);
        for (int i = item.Offset / 4; i < end; i++)
        {
            _isExcluded[i] |= isExcluded;
            _masks[i] = _isExcluded[i] ? 0 : _layout.Known.Fields(4 * i, 4);
        }
    }

    /// <summary>Sorts what is restored. Extended capabilities come first, each from its end: an enable bit is written after what it depends
    /// on, and the size of a BAR before its address. Address translation (ATS) comes last of these.</summary>
    private void SetOrder()
    {
        Capability? translation = _layout.Capabilities.Find(0x0f, isExtended: true);
        _restored =
        [
            .. Enumerable.Range(0, _masks.Length).Where(i => _masks[i] != 0).Select(i => 4 * i)
                .OrderBy(offset => offset < ConfigSpace.ConventionalLength ? 2 : IsIn(translation, offset) ? 1 : 0)
                .ThenByDescending(offset => offset),
        ];
    }

    private static bool IsIn(Capability? item, int offset) =>
        item is not null && offset >= item.Offset && offset < item.Offset + item.LengthBytes;

    /// <remarks>By dwords; by narrower accesses where a dword also has bits that the table hides or that no table describes.</remarks>
    private void Restore(int offset, bool isAssigned)
    {
        uint hidden = _layout.Rules.Mask(BitRule.Hidden, offset, 4);
        uint mask = _masks[offset / 4] & ~_layout.Known.Status(offset, 4);
        if (mask == 0)
            return;
        int at = offset;
        int width = 4;
        if ((~mask & (hidden | ~_layout.Known.Known(offset, 4))) != 0)
            KnownRegisters.Narrow(ref at, ref width, mask);
        int shift = 8 * (at - offset);
        uint all = Bits.Mask((8 * width) - 1, 0);
        mask = mask >> shift & all;
        uint wanted = (_layout.Space.Read32(offset) & ~Off(offset, isAssigned) & ~_layout.Known.Status(offset, 4)) >> shift & all;
        if ((hidden >> shift & all) == all)
        {
            // The guard does not read it either.
            _function.WriteConfig(at, width, wanted);
            return;
        }

        uint now = _function.ReadConfig(at, width);
        if (((now ^ wanted) & mask) != 0)
            _function.WriteConfig(at, width, (now & ~mask & ~_layout.Known.Status(at, width)) | (wanted & mask));
    }

    /// <summary>The bits that stay off, whatever the owner had: a sleep state, and messages that would go to the owner.</summary>
    private uint Off(int offset, bool isAssigned) =>
        _layout.PowerManagement != 0 && offset == _layout.PowerManagement + 4 ? PowerStateBits
        : isAssigned && _layout.Msi != 0 && offset == _layout.Msi ? Enable << 16
        : isAssigned && _layout.Msix != 0 && offset == _layout.Msix ? Enable << 31
        : 0;

    private void RestoreCommand(uint mask, uint set, uint clear = 0)
    {
        uint saved = (_layout.Space.Read16(Command) & ~(BusMaster | Memory | Io)) | set;
        uint now = _function.ReadConfig(Command, 2);
        uint value = ((now & ~mask) | (saved & mask)) & ~clear;
        if (value != now)
            _function.WriteConfig(Command, 2, value & 0xffff);
    }
}
