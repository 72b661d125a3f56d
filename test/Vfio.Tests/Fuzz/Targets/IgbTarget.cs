using System.Buffers.Binary;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>Drivers of the 82576 that mean ill, of its physical function and of two virtual ones, and a peer that does: register accesses,
/// mailboxes, memory, resets, frames. No work of the device's ends by an exception, and after a reset a frame goes through.</summary>
/// <remarks>A step has a byte that says which, and what <see cref="Step"/> reads. Memory is 64 KiB, and every address leads into it: so
/// small numbers are good addresses, and rings, buffers and descriptors overlap.</remarks>
internal static class IgbTarget
{
    private const int MostSteps = 400;

    // Of the first byte: the port has virtual functions, whose steps come after 7.
    private const byte HasVirtual = 0xff;
    private static readonly int[] Registers =
    [
        0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x0038, 0x0100, 0x0400, 0x1500, 0x1504, 0x1508, 0x150c, 0x1510,
        0x1514, 0x1520, 0x1524, 0x1528, 0x152c, 0x1530, 0x1580, 0x1680, 0x1700, 0x1704, 0x1740, 0x4074, 0x4088, 0x5000,
        0x5004, 0x5200, 0x5400, 0x5404, 0x5480, 0x5600, 0x5818, 0x5c00, 0x5c80, 0x5b50, 0xb600, 0xb608, 0xc000, 0xc004,
        0xc008, 0xc00c, 0xc010, 0xc018, 0xc028, 0xc030, 0xc040, 0xc048, 0xc04c, 0xc058, 0xc068, 0xe000, 0xe004, 0xe008,
        0xe010, 0xe018, 0xe028, 0xe038, 0xe03c, 0xe040, 0xe048, 0xe058, 0xe068, 0x0800, 0x0840, 0x0c00, 0x0c04, 0x0c80, 0x0c84,
        0x0c88, 0x0c8c, 0x0c90, 0x2408, 0x3500, 0x3554, 0x3700, 0x3704, 0x5408, 0x540c, 0x581c, 0x5ad0, 0x5ad4, 0x5ad8, 0x5d00,
        0xa000, 0xc080, 0xc098, 0xe080, 0xe098,
    ];

    private static readonly int[] VirtualRegisters =
    [
        0x0000, 0x0008, 0x0800, 0x0804, 0x0c40, 0x0f04, 0x0f0c, 0x0f10, 0x1048, 0x1520, 0x1524, 0x1528, 0x152c, 0x1530, 0x1580,
        0x1680, 0x1684, 0x1700, 0x1740, 0x2800, 0x2804, 0x2808, 0x280c, 0x2810, 0x2818, 0x2828, 0x2830, 0x2900, 0x2908, 0x2918,
        0x2928, 0x3800, 0x3808, 0x3810, 0x3818, 0x3828, 0x3838, 0x383c, 0x3900, 0x3908, 0x3918, 0x3928,
    ];

    public static void Run(byte[] bytes)
    {
        Peer peer = new();
        Slot slot = new();
        using IgbFunction function = new(peer, [0x02, 0, 0, 0, 0, 1], virtualFunctions: bytes is [HasVirtual, ..] ? 2 : 0);
        function.Connect(slot);
        foreach (IPciFunction each in function.VirtualFunctions)
        {
            each.Connect(slot);
            each.WriteConfig(0x04, 2, 0x0004);
        }

        function.WriteConfig(0x04, 2, 0x0006);
        Write(function, 0x0000, 0x40);
        ReadOnlySpan<byte> left = bytes is [HasVirtual, ..] ? bytes.AsSpan(1) : bytes;
        for (int steps = 0; !left.IsEmpty && steps < MostSteps; steps++)
            left = Step(function, slot, peer, left);
        function.AwaitWork(TimeSpan.FromSeconds(1));
        if (slot.HasFailed)
            throw new InvalidOperationException("work of the device's ended by an exception");
        AssertWorks(function, slot, peer);
        foreach (IPciFunction each in function.VirtualFunctions)
            each.Dispose();
    }

    private static ReadOnlySpan<byte> Step(IgbFunction function, Slot slot, Peer peer, ReadOnlySpan<byte> bytes)
    {
        Span<byte> given = stackalloc byte[19];
        int kind = bytes[0] % (function.VirtualFunctions.Count > 0 ? 12 : 8);
        int frame = bytes.Length > 1 ? Math.Min(bytes.Length - 1, 1 + bytes[1]) : 0;
        int count = kind switch { 0 or 1 or 8 or 9 => 6, 2 => 7, 3 or 10 => 1, 4 or 5 => 18, 6 => frame, _ => 2 };
        given.Clear();
        bytes = bytes[1..];
        bytes[..Math.Min(bytes.Length, Math.Min(count, given.Length))].CopyTo(given);
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(given[1..]);
        switch (kind)
        {
            case 0 or 1:
                Write(function, Registers[given[0] % Registers.Length], value);
                break;
            case 2:
                Write(function, (int)(BinaryPrimitives.ReadUInt16LittleEndian(given[5..]) * 4u % 0x20000), value);
                break;
            case 3:
                Span<byte> read = stackalloc byte[4];
                function.ReadRegion(RegionIndex.Bar0, (ulong)Registers[given[0] % Registers.Length], read);
                break;
            case 4 or 5:
                slot.WriteMemory(new Iova(16UL * BinaryPrimitives.ReadUInt16LittleEndian(given)), given.Slice(2, 16));
                break;
            case 6:
                peer.Give(bytes[..Math.Min(count, bytes.Length)]);
                break;
            case 8 or 9:
                Write(function.VirtualFunctions[given[0] & 1], VirtualRegisters[(given[0] >> 1) % VirtualRegisters.Length], value);
                break;
            case 10:
                Span<byte> seen = stackalloc byte[4];
                function.VirtualFunctions[given[0] & 1].ReadRegion(
                    RegionIndex.Bar0, (ulong)VirtualRegisters[(given[0] >> 1) % VirtualRegisters.Length], seen);
                break;
            case 11:
                if (given[0] < 8)
                    function.VirtualFunctions[given[0] & 1].Reset(ResetMethod.Flr);
                else
                    StartSwitch(function, value);
                break;
            default:
                if (given[0] == 0)
                    function.Reset(ResetMethod.Flr);
                else
                    function.WriteConfig(0x04, 2, given[0]);
                break;
        }

        return bytes[Math.Min(count, bytes.Length)..];
    }

    // What takes many writes, so that frames are switched often: VMDq, loopback, all pools take all.
    private static void StartSwitch(IgbFunction function, uint offloads)
    {
        Write(function, 0x5818, 3);
        Write(function, 0x581c, 0x4000_0100);
        Write(function, 0x3500, 0x80ff_0000);
        for (int pool = 0; pool < 3; pool++)
            Write(function, 0x5ad0 + (4 * pool), 0x9f00_0000 | offloads);
        Write(function, 0x0100, 0x0400_801a);
        Write(function, 0x0400, 0x0a);
    }

    private static void Write(IPciFunction function, int register, uint value) =>
        function.WriteRegion(RegionIndex.Bar0, (ulong)register, BitConverter.GetBytes(value));

    private static void AssertWorks(IgbFunction function, Slot slot, Peer peer)
    {
        function.Reset(ResetMethod.Flr);
        function.WriteConfig(0x04, 2, 0x0006);
        Write(function, 0x0000, 0x40);
        Write(function, 0xe080, 0x1000);
        Write(function, 0xe088, 0x80);
        Write(function, 0x0400, 0x0a);
        Write(function, 0xe0a8, 0x0200_0000);
        slot.WriteMemory(new Iova(0x1000), [.. BitConverter.GetBytes(0x2000ul), .. BitConverter.GetBytes(60ul << 46 | 0x2b30_003c)]);
        peer.Sent = 0;
        Write(function, 0xe098, 1);
        if (!SpinWait.SpinUntil(() => Volatile.Read(ref peer.Sent) == 1, TimeSpan.FromSeconds(60)))
            throw new InvalidOperationException("after a reset it does not send");
    }

    private sealed class Peer : NetBackend
    {
        internal int Sent;

        internal void Give(ReadOnlySpan<byte> frame) => Port?.TryReceive(frame);

        internal override void Send(ReadOnlySpan<byte> frame)
        {
            Interlocked.Increment(ref Sent);
            Port?.TryReceive(frame);
        }
    }

    private sealed class Slot : IPciSlot
    {
        private const int Bytes = 0x10000;
        private readonly byte[] _memory = new byte[Bytes];

        internal bool HasFailed { get; private set; }

        public int MappingCount => 1;

        public int AccessesAtOwner => 0;

        public Errno ReadMemory(Iova address, Span<byte> destination)
        {
            int at = (int)(address.Value % Bytes);
            if (destination.Length > Bytes - at)
                return Errno.BadAddress;
            _memory.AsSpan(at, destination.Length).CopyTo(destination);
            return Errno.None;
        }

        public Errno WriteMemory(Iova address, ReadOnlySpan<byte> source)
        {
            int at = (int)(address.Value % Bytes);
            if (source.Length > Bytes - at)
                return Errno.BadAddress;
            source.CopyTo(_memory.AsSpan(at));
            return Errno.None;
        }

        public Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments)
        {
            segments = 1;
            return Errno.None;
        }

        public bool IsReachedDirectly(Iova address, ulong length) => true;

        public bool IsOwnerAsking(Iova address) => false;

        public bool HasListener(InterruptIndex kind, int vector) => true;

        public void SetIntx(bool asserted)
        {
        }

        public void SignalMsi(int vector)
        {
        }

        public void SignalMsix(int vector)
        {
        }

        public void ReportError() => HasFailed = true;
    }
}
