// src/CrcDevice.cs
using System.Numerics;
using Vfio;
using Vfio.Guard;

namespace Crc;

/// <summary>A device that computes checksums (CRC-32C): it reads the driver's memory by itself, and interrupts when it is done.</summary>
public sealed class CrcDevice : EmulatedFunction
{
    private const uint Start = 1 << 0;
    private const uint Busy = 1 << 0, Done = 1 << 1, Error = 1 << 2;

    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        // offset, bytes, register,    reset,       writable,              write-1-to-clear
        { 0x00, 4, Register.Id,        0x4352_4333 },
        { 0x04, 4, Register.Control,   0,           0 },
        { 0x08, 4, Register.Status,    0,           0,                     Done | Error },
        { 0x0c, 4, Register.Length,    0,           0xffff_ffff },
        { 0x10, 8, Register.Address,   0,           0xffff_ffff_ffff_ffff },
        { 0x18, 4, Register.Result,    0,           0 },
    };

    private readonly RegisterFile<Register> _registers = new(Map);
    private Engine _engine;

    /// <summary>Makes the device, with its registers in BAR0 and one MSI vector.</summary>
    public CrcDevice()
        : base(new FunctionDescription("crc", VendorId: 0x1234, DeviceId: 0x0002) { ClassCode = 0x120000, MsiVectors = 1 })
    {
        _engine = new Engine(this);
        _registers.OnWrite(Register.Control, OnControl);
        AddBar(0, _registers);
    }

    private enum Register { Id, Control, Status, Length, Address, Result }

    /// <inheritdoc/>
    public override bool CanMigrate => true;

    /// <summary>The reset has abandoned the old engine: it touches nothing any more.</summary>
    protected override void OnReset() => _engine = new Engine(this);

    /// <summary>After a migration: what the engine was in the middle of begins again.</summary>
    protected override void OnStart()
    {
        if ((_registers[Register.Status] & Busy) != 0)
            _engine.Wake();
    }

    private void OnControl(ulong control)
    {
        // While it is busy, START does nothing.
        if ((control & Start) != 0 && (_registers.Set(Register.Status, Busy) & Busy) == 0)
            _engine.Wake();
    }

    /// <summary>Reads memory and computes, on a thread of its own: no access to a register waits for it.</summary>
    private sealed class Engine(CrcDevice device) : DeviceWork(device)
    {
        private const int ChunkBytes = 64 * 1024;

        private readonly byte[] _chunk = new byte[ChunkBytes];

        protected override void Run()
        {
            RegisterFile<Register> registers = device._registers;
            if ((registers[Register.Status] & Busy) == 0)
                return;
            ulong address = registers[Register.Address], left = registers[Register.Length];
            uint crc = uint.MaxValue;
            bool isRead = true;
            while (isRead && left > 0)
            {
                // A reset, or a migration. After a migration Run is called again.
                if (ShouldReturn)
                    return;
                Span<byte> chunk = _chunk.AsSpan(0, (int)Math.Min(left, ChunkBytes));
                isRead = Bus.ReadMemory(new Iova(address), chunk) == Errno.None;
                foreach (byte value in chunk)
                    crc = BitOperations.Crc32C(crc, value);
                address += (ulong)chunk.Length;
                left -= (ulong)chunk.Length;
            }

            // A reset waits until Leave, or comes first: then Enter is false.
            if (!Enter())
                return;
            registers[Register.Result] = ~crc;
            registers[Register.Status] = isRead ? Done : Done | Error;
            Interrupt();
            Leave();
        }
    }
}
