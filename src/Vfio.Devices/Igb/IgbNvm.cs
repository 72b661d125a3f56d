using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>The NVM: 1,024 words with the station's address, the ids and a checksum. It is read by EERD, and not written.</summary>
/// <remarks>82576 Datasheet, chapter 6, and sections 8.4.1 and 8.4.2.</remarks>
internal sealed class IgbNvm
{
    private const int Words = 1024, ChecksumAt = 0x3f;
    private const ushort ChecksumOfAll = 0xbaba;
    private const uint Request = 0x40, Grant = 0x80, Present = 0x100, AutoReadDone = 0x200, SizeOf1024Words = 4 << 11;
    private const uint Start = 1 << 0, Done = 1 << 1;
    private readonly ushort[] _words = new ushort[Words];

    /// <summary>Makes the NVM of a port.</summary>
    /// <param name="address">The station's address: 6 bytes.</param>
    /// <param name="description">The ids.</param>
    internal IgbNvm(ReadOnlySpan<byte> address, FunctionDescription description)
    {
        for (int i = 0; i < 3; i++)
            _words[i] = (ushort)(address[2 * i] | address[(2 * i) + 1] << 8);
        _words[0x03] = 0x0000;                       // compatibility
        _words[0x05] = 0x1000;                       // version of the image: 1.0
        _words[0x08] = 0xffff;                       // no board number
        _words[0x09] = 0xffff;
        _words[0x0a] = 0x00c0;                       // initialization control 1: ids are loaded from here
        _words[0x0b] = description.SubsystemId;
        _words[0x0c] = description.SubsystemVendorId;
        _words[0x0d] = description.DeviceId;
        _words[0x0e] = description.VendorId;
        _words[0x0f] = 0x0600;                       // initialization control 2
        _words[0x24] = 0x0000;                       // initialization control 3: no wake up
        _words[0x37] = 0xffff;                       // no alternate address
        ushort sum = 0;
        for (int i = 0; i < ChecksumAt; i++)
            sum += _words[i];
        _words[ChecksumAt] = (ushort)(ChecksumOfAll - sum);
    }

    /// <summary>What EERD holds after a write: the word at bits 15:2, in bits 31:16, and DONE; without DONE where there is no
    /// word.</summary>
    internal uint Read(uint command)
    {
        uint address = command >> 2 & 0x3fff;
        if ((command & Start) == 0 || address >= Words)
            return address << 2;
        return (uint)_words[address] << 16 | address << 2 | Done;
    }

    /// <summary>What EEC shows of itself: the NVM is there, and was read; whoever requests it has it.</summary>
    internal static uint Control(uint kept) =>
        kept | Present | AutoReadDone | SizeOf1024Words | ((kept & Request) != 0 ? Grant : 0);
}
