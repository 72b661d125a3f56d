using System.Buffers.Binary;
using Vfio.Devices.Igb;
using Vfio.Devices.Network;

namespace Vfio.Tests.Devices;

/// <summary>Drives an 82576 by hand, with the numbers of its datasheet: rings of 64 descriptors at fixed places of memory.</summary>
/// <remarks>Memory: transmit ring n at 0x1000 n, receive ring n at 0x1000 n + 0x800; buffers of transmit from 0x20000 on, of receive from
/// 0x80000 on, 2 KiB each, 64 a queue.</remarks>
internal sealed class IgbRig : IDisposable
{
    internal const int Entries = 64, MemoryBytes = 0x300000, Sent = 0x20000, Received = 0x80000, BufferBytes = 0x800;
    internal const uint Accept = 0x0400_8002, Promiscuous = 0x18;
    internal const ulong Legacy = 0, Advanced = 0x0200_0000;
    private const int Queues = 16;
    private readonly IgbFunction _function;
    private readonly int[] _tails = new int[Queues];
    private readonly int[] _heads = new int[Queues];

    internal IgbRig(NetBackend network, TimeProvider? clock = null)
        : this(new IgbFunction(network, [0x02, 0x82, 0x57, 0x60, 0x00, 0x01], clock))
    {
    }

    internal IgbRig(IgbFunction function)
    {
        _function = function;
        function.Connect(Slot);
        Wake();
    }

    internal WaitingSlot Slot { get; } = new() { Memory = new byte[MemoryBytes] };

    internal IgbFunction Function => _function;

    internal uint this[int register]
    {
        get
        {
            byte[] value = new byte[4];
            _function.ReadRegion(RegionIndex.Bar0, (ulong)register, value);
            return BinaryPrimitives.ReadUInt32LittleEndian(value);
        }
        set => _function.WriteRegion(RegionIndex.Bar0, (ulong)register, BitConverter.GetBytes(value));
    }

    internal static byte[] Frame(int length, byte fill = 0x5a, string destination = "028257600001")
    {
        byte[] frame = new byte[length];
        frame.AsSpan().Fill(fill);
        Convert.FromHexString(destination).CopyTo(frame, 0);
        Convert.FromHexString("0200000000aa88b5").CopyTo(frame, 6);
        return frame;
    }

    /// <summary>Lets config space decode and master the bus, as after a reset.</summary>
    internal void Wake() => _function.WriteConfig(0x04, 2, 0x0006);

    /// <summary>Raises the link and starts a queue pair.</summary>
    internal void Start(int queue = 0, uint split = 0x0200_0002, uint control = Accept, uint bufferBits = 0)
    {
        this[0x0000] |= 0x40;
        WriteQueue(0xc000, queue, (0x1000 * queue) + 0x800, split);
        WriteQueue(0xe000, queue, 0x1000 * queue, null);
        this[0x0100] = control | bufferBits;
        this[0x0400] = 0x0000_000a;
        _tails[queue] = _heads[queue] = 0;
        for (int i = 0; i < Entries; i++)
            Poke((0x1000 * queue) + 0x800 + (16 * i), [.. BitConverter.GetBytes((ulong)ReceiveBuffer(queue, i)), .. new byte[8]]);
        this[0xc018 + (0x40 * queue)] = Entries - 1;
    }

    internal static int ReceiveBuffer(int queue, int index) => Received + (((queue * Entries) + index) * BufferBytes);

    /// <summary>Writes a descriptor; nothing is told to the device.</summary>
    internal int Put(ulong address, ulong command, int queue = 0)
    {
        int at = _tails[queue];
        Poke((0x1000 * queue) + (16 * at), [.. BitConverter.GetBytes(address), .. BitConverter.GetBytes(command)]);
        _tails[queue] = (at + 1) % Entries;
        return at;
    }

    internal void Ring(int queue = 0) => this[0xe018 + (0x40 * queue)] = (uint)_tails[queue];

    /// <summary>Sends a frame by an advanced descriptor, with what its commands ask for, and waits until it is reported.</summary>
    internal void Send(ReadOnlySpan<byte> frame, uint commands = 0, uint options = 0, int queue = 0)
    {
        Poke(Sent, frame);
        int at = Put(Sent, (ulong)frame.Length << 46 | (ulong)options << 32 | 0x2b30_0000u | commands | (uint)frame.Length, queue);
        Ring(queue);
        WaitForSent(at, queue);
    }

    internal void WaitForSent(int at, int queue = 0) =>
        Slot.WaitUntil(() => (Peek((0x1000 * queue) + (16 * at) + 12, 1)[0] & 1) != 0);

    /// <summary>Waits for the next descriptor that the device has written.</summary>
    internal byte[] Take(int queue = 0)
    {
        int at = (0x1000 * queue) + 0x800 + (16 * (_heads[queue] % Entries));
        bool isLegacy = (this[0xc00c + (0x40 * queue)] >> 25 & 7) == 0;
        Slot.WaitUntil(() => (Peek(at + (isLegacy ? 12 : 8), 1)[0] & 1) != 0);
        _heads[queue]++;
        return Peek(at, 16);
    }

    /// <summary>Waits for a frame of one buffer, received by an advanced descriptor.</summary>
    internal byte[] TakeFrame(int queue = 0)
    {
        int index = _heads[queue] % Entries;
        byte[] descriptor = Take(queue);
        Assert.Equal(3, descriptor[8] & 3);
        return Peek(ReceiveBuffer(queue, index), BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(12)));
    }

    /// <summary>Gives a receive descriptor of queue 0 to the device again.</summary>
    internal void GiveBack(int index)
    {
        Poke(0x800 + (16 * index), [.. BitConverter.GetBytes((ulong)ReceiveBuffer(0, index)), .. new byte[8]]);
        this[0xc018] = (uint)index;
    }

    internal byte[] Peek(int at, int count)
    {
        Interlocked.MemoryBarrier();
        return Slot.Memory[at..(at + count)];
    }

    internal void Poke(int at, ReadOnlySpan<byte> bytes) => bytes.CopyTo(Slot.Memory.AsSpan(at));

    public void Dispose() => _function.Dispose();

    private void WriteQueue(int first, int queue, int ring, uint? split)
    {
        int at = first + (0x40 * queue);
        this[at + 0x28] = 0;
        Poke(ring, new byte[16 * Entries]);
        this[at] = (uint)ring;
        this[at + 4] = 0;
        this[at + 8] = 16 * Entries;
        if (split is { } value)
            this[at + 0x0c] = value;
        this[at + 0x10] = 0;
        this[at + 0x18] = 0;
        this[at + 0x28] = 0x0200_0000;
    }
}
