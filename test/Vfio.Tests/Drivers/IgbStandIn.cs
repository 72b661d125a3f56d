using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Providers;

namespace Vfio.Tests.Drivers;

/// <summary>An 82576 in memory whose rings are completed at once, by the numbers of its datasheet: enough of it to test a driver.</summary>
/// <remarks>Registers are messages, and each write is counted; with <c>mapped</c> the pages of the queues are memory instead, as BARs of
/// hardware are, and <see cref="Complete"/> does what a tail would have done.</remarks>
internal class IgbStandIn : IVfioDevice
{
    internal const uint Eims = 0x1524, Eimc = 0x1528, Ctrl = 0x0000, Status = 0x0008, Mdic = 0x0020, Swsm = 0x5b50, Rctl = 0x0100;
    private const int BarBytes = 0x20000, Done = 1, ReportStatus = 1 << 27;
    private static readonly RegionIndex Bar0 = RegionIndex.Bar0;
    private readonly byte[] _config = new byte[256];
    private readonly SharedMemory _registers = SharedMemory.Create("igb", BarBytes);
    private readonly DmaMappings _memory = new();
    private readonly bool _mapped;
    private EventFd? _event;

    internal IgbStandIn(ushort deviceId = 0x10c9, bool mapped = false)
    {
        _mapped = mapped;
        BinaryPrimitives.WriteUInt16LittleEndian(_config, 0x8086);
        BinaryPrimitives.WriteUInt16LittleEndian(_config.AsSpan(2), deviceId);
        (ReceiveQueue, TransmitQueue) = deviceId == 0x10ca ? (0x2800u, 0x3800u) : (0xc000u, 0xe000u);
        this[Status] = 0x0008_0000;
        this[0x5400] = 0x12005452;
        this[0x5404] = 0x8000_5634;
    }

    public string Name => "stand-in";

    public DeviceInfo Info => new(DeviceFlags.Pci | DeviceFlags.Reset, RegionIndex.PciCount, InterruptIndex.PciCount);

    internal uint ReceiveQueue { get; }

    internal uint TransmitQueue { get; }

    /// <summary>How many vectors its MSI-X capability has.</summary>
    internal int Vectors { get; set; } = 10;

    /// <summary>What was written to registers, in order.</summary>
    internal List<(uint Register, uint Value)> Writes { get; } = [];

    /// <summary>Whether <see cref="Writes"/> grows.</summary>
    internal bool IsLogging { get; set; } = true;

    /// <summary>Writes since the last look.</summary>
    internal int WriteCount { get; set; }

    /// <summary>What was sent.</summary>
    internal List<byte[]> Sent { get; } = [];

    /// <summary>Whether sent frames are kept.</summary>
    internal bool KeepsFrames { get; set; } = true;

    /// <summary>Whether transmit descriptors are completed when the tail is written.</summary>
    internal bool Sends { get; set; } = true;

    /// <summary>Whether reads give ones.</summary>
    internal bool IsGone { get; set; }

    /// <summary>Whether config space answers.</summary>
    internal bool HasConfig { get; set; } = true;

    /// <summary>Whether it was disposed.</summary>
    internal bool IsDisposed { get; private set; }

    internal uint this[uint register]
    {
        get => _registers.Read32(register);
        set => _registers.Write32(register, value);
    }

    public RegionInfo GetRegion(RegionIndex region) => region == Bar0
        ? new RegionInfo(Bar0, BarBytes, RegionFlags.Read | RegionFlags.Write | (_mapped ? RegionFlags.Map : RegionFlags.None))
        {
            File = _mapped ? _registers.File : null,
            MmapAreas = [new(0xc000, 0x1000), new(0xe000, 0x1000)],
        }
        : region == RegionIndex.Config ? new RegionInfo(region, 256, RegionFlags.Read | RegionFlags.Write)
        : RegionInfo.Absent(region);

    public InterruptInfo GetInterrupt(InterruptIndex index) =>
        new(index, index == InterruptIndex.Msix ? Vectors : 0, InterruptFlags.EventFd);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        if (region == RegionIndex.Config && !HasConfig)
            destination.Fill(byte.MaxValue);
        else if (region == RegionIndex.Config)
            _config.AsSpan((int)offset, destination.Length).CopyTo(destination);
        else
            BinaryPrimitives.WriteUInt32LittleEndian(destination, IsGone ? uint.MaxValue : OnRead((uint)offset));
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        if (region == RegionIndex.Config)
        {
            source.CopyTo(_config.AsSpan((int)offset));
            return;
        }

        uint value = BinaryPrimitives.ReadUInt32LittleEndian(source);
        WriteCount++;
        if (IsLogging)
            Writes.Add(((uint)offset, value));
        OnWrite((uint)offset, value);
    }

    public void SetInterrupts(in InterruptRequest request)
    {
        _event?.Dispose();
        _event = request is { Data: InterruptData.Events, Count: > 0 } && request.Events[0] is { } held ? EventFd.TryHold(held) : null;
    }

    public void MapDma(in DmaMapping mapping) => _memory.Add(mapping);

    public ulong UnmapDma(Iova start, ulong length)
    {
        _memory.Find(start, length, out int first, out _);
        _memory.RemoveAt(first);
        return length;
    }

    public void UnmapAllDma() => _memory.Clear();

    public void Reset()
    {
    }

    public void Dispose()
    {
        IsDisposed = true;
        _memory.Clear();
        _event?.Dispose();
        _registers.Dispose();
    }

    /// <summary>Does with the transmit ring what hardware does after the tail moved.</summary>
    internal void Complete()
    {
        uint tail = this[TransmitQueue + 0x18];
        uint entries = this[TransmitQueue + 0x08] / 16;
        while (this[TransmitQueue + 0x10] != tail)
        {
            uint head = this[TransmitQueue + 0x10];
            ulong at = Base(TransmitQueue) + (16 * head);
            ulong address = Read64(at);
            ulong control = Read64(at + 8);
            if (KeepsFrames)
                Sent.Add(ReadMemory(address, (int)(control & 0xffff)));
            if ((control & ReportStatus) != 0)
                Write64(at + 8, (ulong)Done << 32);
            this[TransmitQueue + 0x10] = (head + 1) % entries;
        }
    }

    /// <summary>Receives a frame.</summary>
    /// <returns>False when no descriptor is free.</returns>
    internal bool Deliver(ReadOnlySpan<byte> frame, uint status = 3, int? length = null)
    {
        uint head = this[ReceiveQueue + 0x10];
        if (head == this[ReceiveQueue + 0x18])
            return false;
        ulong at = Base(ReceiveQueue) + (16 * head);
        ulong address = Read64(at);
        Demand(Read64(at + 8) == 0, "a receive descriptor with a header buffer");
        Demand(_memory.Write(address, frame) == Errno.None, "a receive buffer that is not mapped");
        Write64(at, 0xdead_beef);
        Write64(at + 8, (ulong)(uint)(length ?? frame.Length) << 32 | status);
        this[ReceiveQueue + 0x10] = (head + 1) % (this[ReceiveQueue + 0x08] / 16);
        Interrupt();
        return true;
    }

    internal byte[] ReadMemory(ulong address, int count)
    {
        byte[] bytes = new byte[count];
        Demand(_memory.Read(address, bytes) == Errno.None, "a read of what is not mapped");
        return bytes;
    }

    protected virtual uint OnRead(uint register) => this[register];

    protected virtual void OnWrite(uint register, uint value)
    {
        switch (register)
        {
            case Ctrl:
                // RST clears itself; GIO Master Disable is answered in STATUS.
                this[Ctrl] = value & ~(1u << 26);
                this[Status] = (value & 4) != 0 ? this[Status] & ~(1u << 19) : this[Status] | 1u << 19;
                break;
            case Mdic:
                // Autonegotiation brings the link up.
                if ((value >> 26 & 3) == 1 && (value & 0x1200) == 0x1200)
                    this[Status] |= 2;
                this[Mdic] = value | 1u << 28;
                break;
            case Eims:
                this[Eims] |= value;
                break;
            case Eimc:
                this[Eims] &= ~value;
                break;
            default:
                this[register] = value;
                if (register == TransmitQueue + 0x18 && Sends)
                    Complete();
                break;
        }
    }

    protected void Interrupt()
    {
        // EIAM masks what was raised.
        if ((this[Eims] & 1) == 0)
            return;
        this[Eims] &= ~1u;
        _event?.Signal();
    }

    private ulong Base(uint queue) => (ulong)this[queue + 4] << 32 | this[queue];

    private ulong Read64(ulong address)
    {
        ulong value = 0;
        Demand(_memory.Read(address, Blittable.AsBytes(ref value)) == Errno.None, "a descriptor that is not mapped");
        return value;
    }

    private void Write64(ulong address, ulong value) =>
        Demand(_memory.Write(address, Blittable.AsBytes(ref value)) == Errno.None, "a descriptor that is not mapped for writing");

    // No assertion of xunit's, which allocates.
    private static void Demand(bool condition, string otherwise)
    {
        if (!condition)
            throw new InvalidOperationException(otherwise);
    }
}
