using System.Buffers.Binary;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;

namespace Vfio.Tests.Devices;

/// <summary>An 82576 with virtual functions, driven by hand with the numbers of its datasheet: all of its functions, each with memory of its
/// own.</summary>
internal sealed class IgbVirtualRig : IDisposable
{
    internal const int Request = 1, Read = 2, VirtualOwns = 4, PhysicalOwns = 8;
    internal const int VirtualMailbox = 0x0c40, Memory = 0x0800, PhysicalMailbox = 0x0c00;

    internal IgbVirtualRig(NetBackend network, int count, TimeProvider? clock = null)
    {
        IgbFunction function = new(network, [0x02, 0x82, 0x57, 0x60, 0x00, 0x01], clock, count);
        Physical = new Side(function, function.AwaitWork);
        Virtual = [.. function.VirtualFunctions.Select(each => new Side(each, function.AwaitWork))];
    }

    internal Side Physical { get; }

    internal IReadOnlyList<Side> Virtual { get; }

    /// <summary>Does what the physical function's driver does: the switch is on, the first pool that is no virtual function's is its own, and
    /// the default, and virtual function n has the address 02:00:00:00:00:1n.</summary>
    internal void Start(uint switching = 0x8000_0000)
    {
        int own = Virtual.Count;
        Physical[0x0000] |= 0x40;
        Physical[0x5818] = 3;
        Physical[0x581c] = 0x4000_0000u | (uint)own << 7;
        Physical[0x3500] = switching;
        Physical[0x5404] = 0x8000_0100u | 1u << (18 + own);
        for (int n = 0; n < own; n++)
        {
            Physical[0x5408 + (8 * n)] = 2;
            Physical[0x540c + (8 * n)] = 0x8000_1000u + ((uint)n << 8) + (1u << (18 + n));
        }

        for (int pool = 0; pool < 8; pool++)
            Physical[0x5ad0 + (4 * pool)] = 0x8900_0000;
        Physical[0x0018] = 0x1000_4000;
        Physical[0x0100] = 0x0400_8002;
        Physical[0x0400] = 0x0000_000a;
        Physical.StartQueue(0xc000 + (0x40 * own), 0xe000 + (0x40 * own));
        foreach (Side each in Virtual)
            each.StartQueue(0x2800, 0x3800);
    }

    internal static byte[] Frame(string destination, string source, int length = 64) =>
        [.. Convert.FromHexString(destination), .. Convert.FromHexString(source), 0x88, 0xb5, .. Enumerable.Repeat((byte)0x5a, length - 14)];

    /// <summary>The address of a virtual function, or of the physical one.</summary>
    internal static string AddressOf(int? number) => number is null ? "028257600001" : $"02000000001{number}";

    public void Dispose()
    {
        foreach (Side each in Virtual)
            each.Function.Dispose();
        Physical.Function.Dispose();
    }

    /// <summary>A function in a slot, with one ring of 64 descriptors each way: transmit at 0, receive at 0x800, a buffer for sending at
    /// 0x10000, those for receiving from 0x40000 on, 2 KiB each.</summary>
    internal sealed class Side
    {
        private const int Entries = 64, Sent = 0x10000, Received = 0x40000, BufferBytes = 0x800;
        private readonly Func<TimeSpan, bool> _awaitWork;
        private int _receiveQueue, _transmitQueue, _tail, _head;

        internal Side(IPciFunction function, Func<TimeSpan, bool> awaitWork)
        {
            Function = function;
            _awaitWork = awaitWork;
            function.Connect(Slot);
            Wake();
        }

        internal IPciFunction Function { get; }

        internal WaitingSlot Slot { get; } = new() { Memory = new byte[0x80000] };

        internal uint this[int register]
        {
            get
            {
                byte[] value = new byte[4];
                Function.ReadRegion(RegionIndex.Bar0, (ulong)register, value);
                return BinaryPrimitives.ReadUInt32LittleEndian(value);
            }
            set => Function.WriteRegion(RegionIndex.Bar0, (ulong)register, BitConverter.GetBytes(value));
        }

        internal void Wake() => Function.WriteConfig(0x04, 2, 0x0006);

        internal void StartQueue(int receive, int transmit)
        {
            (_receiveQueue, _transmitQueue, _tail, _head) = (receive, transmit, 0, 0);
            Slot.Memory.AsSpan(0, 0x1000).Clear();
            foreach ((int queue, uint ring) in ((int, uint)[])[(receive, 0x800), (transmit, 0)])
            {
                this[queue + 0x28] = 0;
                this[queue] = ring;
                this[queue + 0x08] = 16 * Entries;
                this[queue + 0x10] = 0;
                this[queue + 0x18] = 0;
            }

            this[receive + 0x0c] = 0x0200_0002;
            this[receive + 0x28] = this[transmit + 0x28] = 0x0200_0000;
            for (int i = 0; i < Entries; i++)
                BitConverter.GetBytes((ulong)(Received + (BufferBytes * i))).CopyTo(Slot.Memory, 0x800 + (16 * i));
            this[receive + 0x18] = Entries - 1;
        }

        /// <summary>Sends a frame and waits until it is reported.</summary>
        internal void Send(ReadOnlySpan<byte> frame, uint length = 0)
        {
            frame.CopyTo(Slot.Memory.AsSpan(Sent));
            uint bytes = length == 0 ? (uint)frame.Length : length;
            int at = 16 * _tail;
            BitConverter.GetBytes((ulong)Sent).CopyTo(Slot.Memory, at);
            BitConverter.GetBytes((ulong)bytes << 46 | 0x2b30_0000u | bytes).CopyTo(Slot.Memory, at + 8);
            _tail = (_tail + 1) % Entries;
            this[_transmitQueue + 0x18] = (uint)_tail;
            Slot.WaitUntil(() => (Slot.Memory[at + 12] & 1) != 0);
        }

        /// <summary>Writes a descriptor of a frame and rings; nothing is waited for.</summary>
        internal void Queue(ReadOnlySpan<byte> frame)
        {
            frame.CopyTo(Slot.Memory.AsSpan(Sent));
            int at = 16 * _tail;
            BitConverter.GetBytes((ulong)Sent).CopyTo(Slot.Memory, at);
            BitConverter.GetBytes((ulong)frame.Length << 46 | 0x2b30_0000u | (uint)frame.Length).CopyTo(Slot.Memory, at + 8);
            _tail = (_tail + 1) % Entries;
            this[_transmitQueue + 0x18] = (uint)_tail;
        }

        /// <summary>Waits for the next frame.</summary>
        internal byte[] Take()
        {
            int at = 0x800 + (16 * (_head % Entries));
            Slot.WaitUntil(() => (Slot.Memory[at + 8] & 1) != 0);
            int from = Received + (BufferBytes * (_head % Entries));
            _head++;
            Interlocked.MemoryBarrier();
            return Slot.Memory[from..(from + BinaryPrimitives.ReadUInt16LittleEndian(Slot.Memory.AsSpan(at + 12)))];
        }

        /// <summary>Whether no frame came that was not taken, once the device has nothing to do.</summary>
        internal bool IsEmpty
        {
            get
            {
                Assert.True(_awaitWork(WaitingSlot.TestTimeout));
                return this[_receiveQueue + 0x10] == _head % Entries;
            }
        }
    }
}
