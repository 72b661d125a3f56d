// tests/CardModel.cs
using Vfio;
using Vfio.Guard;

namespace Fpga.Tests;

/// <summary>The card as an emulated device. Its numbers are from the data sheet and not from the driver: a mistake in one shows.</summary>
public sealed class CardModel : EmulatedFunction
{
    private const uint Start = 1 << 0, InterruptEnable = 1 << 1;
    private const uint Done = 1 << 1, Error = 1 << 2;

    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        // offset, bytes, register,        reset,       writable,              write-1-to-clear
        { 0x00, 4, Register.Id,            0x4650_4741 },
        { 0x04, 4, Register.Version,       0x0001_0002 },
        { 0x08, 4, Register.Scratch,       0,           0xffff_ffff },
        { 0x0c, 4, Register.Control,       0,           InterruptEnable },
        { 0x10, 4, Register.Status,        0,           0,                     Done | Error },
        { 0x14, 4, Register.Length,        0,           0x0001_ffff },
        { 0x18, 8, Register.Source,        0,           0xffff_ffff_ffff_ffff },
        { 0x20, 8, Register.Destination,   0,           0xffff_ffff_ffff_ffff },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    /// <summary>Makes the card, with its registers in BAR0 and one MSI vector.</summary>
    public CardModel()
        : base(new FunctionDescription("card", VendorId: 0x10ee, DeviceId: 0x7024) { MsiVectors = 1 })
    {
        _registers.OnWrite(Register.Control, OnControl);
        AddBar(0, _registers);
    }

    private enum Register { Id, Version, Scratch, Control, Status, Length, Source, Destination }

    /// <summary>What hardware does once in a while: the next transfers fail.</summary>
    public bool IsBroken { get; set; }

    private void OnControl(ulong control)
    {
        if ((control & Start) == 0)
            return;
        _registers.Set(Register.Status, Transfer() ? Done : Done | Error);
        if ((control & InterruptEnable) != 0)
            Interrupt();
    }

    private bool Transfer()
    {
        byte[] data = new byte[_registers[Register.Length]];
        if (IsBroken || data.Length > 0x1_0000 || Slot.ReadMemory(new Iova(_registers[Register.Source]), data) != Errno.None)
            return false;
        for (int i = 0; i < data.Length; i++)
            data[i] = (byte)~data[i];
        return Slot.WriteMemory(new Iova(_registers[Register.Destination]), data) == Errno.None;
    }
}
