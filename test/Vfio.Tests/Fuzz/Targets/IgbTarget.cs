using System.Buffers.Binary;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A driver of the 82576 that means ill, and a peer that does: register accesses, memory, resets, frames. No work of the
/// device's ends by an exception, and after a reset a frame goes through.</summary>
/// <remarks>A step has a byte that says which, and what <see cref="Step"/> reads. Memory is 64 KiB, and every address leads into it: so
/// small numbers are good addresses, and rings, buffers and descriptors overlap.</remarks>
internal static class IgbTarget
{
    private const int MostSteps = 400;
    private static readonly int[] Registers =
    [
        0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x0038, 0x0100, 0x0400, 0x1500, 0x1504, 0x1508, 0x150c, 0x1510,
        0x1514, 0x1520, 0x1524, 0x1528, 0x152c, 0x1530, 0x1580, 0x1680, 0x1700, 0x1704, 0x1740, 0x4074, 0x4088, 0x5000,
        0x5004, 0x5200, 0x5400, 0x5404, 0x5480, 0x5600, 0x5818, 0x5c00, 0x5c80, 0x5b50, 0xb600, 0xb608, 0xc000, 0xc004,
        0xc008, 0xc00c, 0xc010, 0xc018, 0xc028, 0xc030, 0xc040, 0xc048, 0xc04c, 0xc058, 0xc068, 0xe000, 0xe004, 0xe008,
        0xe010, 0xe018, 0xe028, 0xe038, 0xe03c, 0xe040, 0xe048, 0xe058, 0xe068,
    ];

    public static void Run(byte[] bytes)
    {
        Peer peer = new();
        Slot slot = new();
        using IgbFunction function = new(peer, [0x02, 0, 0, 0, 0, 1]);
        function.Connect(slot);
        function.WriteConfig(0x04, 2, 0x0006);
        Write(function, 0x0000, 0x40);
        ReadOnlySpan<byte> left = bytes;
        for (int steps = 0; !left.IsEmpty && steps < MostSteps; steps++)
            left = Step(function, slot, peer, left);
        function.AwaitWork(TimeSpan.FromSeconds(1));
        if (slot.HasFailed)
            throw new InvalidOperationException("work of the device's ended by an exception");
        AssertWorks(function, slot, peer);
    }

    private static ReadOnlySpan<byte> Step(IgbFunction function, Slot slot, Peer peer, ReadOnlySpan<byte> bytes)
    {
        Span<byte> given = stackalloc byte[19];
        int kind = bytes[0] % 8;
        int frame = bytes.Length > 1 ? Math.Min(bytes.Length - 1, 1 + bytes[1]) : 0;
        int count = kind switch { 0 or 1 => 6, 2 => 7, 3 => 1, 4 or 5 => 18, 6 => frame, _ => 2 };
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
            default:
                if (given[0] == 0)
                    function.Reset(ResetMethod.Flr);
                else
                    function.WriteConfig(0x04, 2, given[0]);
                break;
        }

        return bytes[Math.Min(count, bytes.Length)..];
    }

    private static void Write(IgbFunction function, int register, uint value) =>
        function.WriteRegion(RegionIndex.Bar0, (ulong)register, BitConverter.GetBytes(value));

    private static void AssertWorks(IgbFunction function, Slot slot, Peer peer)
    {
        function.Reset(ResetMethod.Flr);
        function.WriteConfig(0x04, 2, 0x0006);
        Write(function, 0x0000, 0x40);
        Write(function, 0xe000, 0x1000);
        Write(function, 0xe008, 0x80);
        Write(function, 0x0400, 0x0a);
        Write(function, 0xe028, 0x0200_0000);
        slot.WriteMemory(new Iova(0x1000), [.. BitConverter.GetBytes(0x2000ul), .. BitConverter.GetBytes(60ul << 46 | 0x2b30_003c)]);
        peer.Sent = 0;
        Write(function, 0xe018, 1);
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
