using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using Vfio.Devices.Nvme;
using Vfio.Native;

namespace Vfio.Tests.Devices;

/// <summary>Drives an NVMe controller by hand, with the numbers of the Base Specification 2.0: queue n has its entries at fixed places of
/// memory.</summary>
/// <remarks>Memory: submission queue n at 0x2000 n, completion queue n at 0x2000 n + 0x1000, data from 0x40000 on.</remarks>
internal abstract class NvmeRig
{
    internal const int Entries = 16, Data = 0x40000, MemoryBytes = 0x80000;
    internal const byte Flush = 0x00, Write = 0x01, Read = 0x02;
    internal const uint ForceUnitAccess = 1u << 30;
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(120);
    private readonly int[] _tails = new int[17];
    private readonly int[] _heads = new int[17];
    private ushort _id;

    internal abstract uint ReadRegister(int offset);

    internal abstract void WriteRegister(int offset, uint value);

    internal abstract byte[] Peek(int at, int count);

    internal abstract void Poke(int at, ReadOnlySpan<byte> bytes);

    internal static void WaitUntil(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        SpinWait spin = default;
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TestTimeout)
                throw new TimeoutException("it did not come");
            spin.SpinOnce();
        }
    }

    internal void Enable()
    {
        WriteRegister(0x24, 0x000f_000f);
        WriteRegister(0x28, 0);
        WriteRegister(0x2c, 0);
        WriteRegister(0x30, 0x1000);
        WriteRegister(0x34, 0);
        Array.Clear(_tails);
        Array.Clear(_heads);
        Poke(0, new byte[Data]);
        WriteRegister(0x14, 0x0046_0001);
        WaitUntil(() => ReadRegister(0x1c) == 1);
    }

    internal void Disable()
    {
        WriteRegister(0x14, 0x0046_0000);
        WaitUntil(() => ReadRegister(0x1c) == 0);
    }

    /// <summary>Makes a pair of queues, which raises the vector of its own number.</summary>
    internal void CreatePair(int id, int? completionsOf = null)
    {
        uint size = (uint)(Entries - 1) << 16;
        if (completionsOf is null)
            Assert.Equal(0, Admin(0x05, (ulong)(0x2000 * id) + 0x1000, size | (uint)id, ((uint)id << 16) | 3).Status);
        Assert.Equal(0, Admin(0x01, (ulong)(0x2000 * id), size | (uint)id, ((uint)(completionsOf ?? id) << 16) | 1).Status);
    }

    internal (int Status, uint Result) Admin(
        byte opcode, ulong prp1 = 0, uint dword10 = 0, uint dword11 = 0, uint space = 0, uint dword12 = 0, ulong prp2 = 0)
    {
        ushort id = Submit(0, opcode, prp1, dword10, dword11, dword12, space, prp2: prp2);
        (ushort Id, int Status, uint Result) completion = Take(0);
        Assert.Equal(id, completion.Id);
        return (completion.Status, completion.Result);
    }

    /// <summary>Submits an admin command.</summary>
    internal ushort BeginAdmin(byte opcode, ulong prp1 = 0, uint dword10 = 0, uint dword11 = 0, uint space = 0) =>
        Submit(0, opcode, prp1, dword10, dword11, 0, space);

    /// <summary>Does an I/O command of one block, with its data at <see cref="Data"/>, and waits for it.</summary>
    internal int Io(int queue, byte opcode, ulong block = 0, uint flags = 0)
    {
        ushort id = Begin(queue, opcode, block, flags);
        (ushort Id, int Status, uint Result) completion = Take(queue);
        Assert.Equal(id, completion.Id);
        return completion.Status;
    }

    /// <summary>Submits an I/O command of one block.</summary>
    internal ushort Begin(int queue, byte opcode, ulong block = 0, uint flags = 0) =>
        Submit(queue, opcode, opcode == Flush ? 0ul : Data, (uint)block, (uint)(block >> 32), flags, space: 1);

    /// <summary>Called with a queue and its head before that is written to the register.</summary>
    internal Action<int, int>? BeforeHead { get; set; }

    /// <summary>Status and result of a completion, with Do Not Retry and More.</summary>
    internal int TakeWhole(int queue)
    {
        WaitUntil(() => IsCompleted(queue));
        int at = (0x2000 * queue) + 0x1000 + (16 * (_heads[queue] % Entries)) + 14;
        int status = BinaryPrimitives.ReadUInt16LittleEndian(Peek(at, 2)) >> 1;
        Take(queue);
        return status;
    }

    internal uint Peek32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(Peek(at, 4));

    internal ulong Peek64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(Peek(at, 8));

    /// <summary>Whether the next completion of a queue is there.</summary>
    internal bool IsCompleted(int queue)
    {
        int phase = _heads[queue] / Entries % 2 == 0 ? 1 : 0;
        return (Peek((0x2000 * queue) + 0x1000 + (16 * (_heads[queue] % Entries)) + 14, 1)[0] & 1) == phase;
    }

    internal (ushort Id, int Status, uint Result) Take(int queue)
    {
        WaitUntil(() => IsCompleted(queue));
        byte[] entry = Peek((0x2000 * queue) + 0x1000 + (16 * (_heads[queue] % Entries)), 16);
        _heads[queue]++;
        BeforeHead?.Invoke(queue, _heads[queue] % Entries);
        WriteRegister(0x1004 + (8 * queue), (uint)(_heads[queue] % Entries));
        return (
            BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(12)),
            BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(14)) >> 1 & 0x7ff,
            BinaryPrimitives.ReadUInt32LittleEndian(entry));
    }

    /// <summary>Does an I/O command of several blocks, and waits for it.</summary>
    internal int Range(
        int queue, byte opcode, ulong block, int blocks, ulong prp1 = Data, ulong prp2 = 0, uint dword12 = 0, byte flags = 0, uint space = 1)
    {
        Submit(queue, opcode, prp1, (uint)block, (uint)(block >> 32), (uint)(blocks - 1) | dword12, space, prp2, flags);
        return Take(queue).Status;
    }

    /// <summary>Puts a command into a queue.</summary>
    /// <param name="isRung">Whether the doorbell is rung; else the next command's ring is this one's too.</param>
    internal ushort Submit(
        int queue, byte opcode, ulong prp1, uint dword10, uint dword11, uint dword12, uint space, ulong prp2 = 0, byte flags = 0,
        bool isRung = true)
    {
        byte[] entry = new byte[64];
        entry[0] = opcode;
        entry[1] = flags;
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(32), prp2);
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(2), ++_id);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(4), space);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(24), prp1);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(40), dword10);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(44), dword11);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(48), dword12);
        Poke((0x2000 * queue) + (64 * _tails[queue]), entry);
        _tails[queue] = (_tails[queue] + 1) % Entries;
        if (isRung)
            WriteRegister(0x1000 + (8 * queue), (uint)_tails[queue]);
        return _id;
    }
}

/// <summary>A rig over a function in a slot of its own.</summary>
internal sealed class SlotRig : NvmeRig, IDisposable
{
    private IPciFunction _function;

    internal SlotRig(IPciFunction function)
    {
        _function = function;
        function.Connect(Slot);
        Wake();
    }

    internal WaitingSlot Slot { get; } = new() { Memory = new byte[MemoryBytes] };

    /// <summary>Stops a function, and gives its state.</summary>
    internal static byte[] Save(IMigratableFunction function)
    {
        ArrayBufferWriter<byte> state = new();
        function.Stop();
        function.Save(state);
        return state.WrittenSpan.ToArray();
    }

    /// <summary>Has another function go on in the same slot.</summary>
    internal void MoveTo(NvmeFunction next) => MoveOn((IMigratableFunction)_function, next);

    /// <summary>As <see cref="MoveTo"/>, from a function that has the state of this rig's.</summary>
    internal void MoveOn(IMigratableFunction from, NvmeFunction next)
    {
        next.Connect(Slot);
        IMigratableFunction target = next;
        target.Stop();
        Assert.True(target.TryRestore(Save(from)));
        _function = next;
        target.Start();
    }

    /// <summary>Resets the function, and has it decode again.</summary>
    internal void Reset()
    {
        Assert.Equal(Errno.None, _function.Reset(ResetMethod.Flr));
        Wake();
    }

    internal override uint ReadRegister(int offset)
    {
        byte[] value = new byte[4];
        _function.ReadRegion(RegionIndex.Bar0, (ulong)offset, value);
        return BinaryPrimitives.ReadUInt32LittleEndian(value);
    }

    internal override void WriteRegister(int offset, uint value) =>
        _function.WriteRegion(RegionIndex.Bar0, (ulong)offset, BitConverter.GetBytes(value));

    internal override byte[] Peek(int at, int count)
    {
        Interlocked.MemoryBarrier();
        return Slot.Memory[at..(at + count)];
    }

    internal override void Poke(int at, ReadOnlySpan<byte> bytes) => bytes.CopyTo(Slot.Memory.AsSpan(at));

    public void Dispose() => _function.Dispose();

    private void Wake() => _function.WriteConfig(0x04, 2, 0x0006);
}

/// <summary>A rig over an open device, with memory that is shared with it.</summary>
internal sealed class DeviceRig : NvmeRig, IDisposable
{
    private readonly IVfioDevice _device;
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("nvme-rig", MemoryBytes));

    /// <param name="device">The device; owned.</param>
    internal DeviceRig(IVfioDevice device)
    {
        _device = device;
        device.MapDma(new DmaMapping(new Iova(0), MemoryBytes, DmaAccess.ReadWrite, _memory, 0));
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
    }

    internal override uint ReadRegister(int offset)
    {
        byte[] value = new byte[4];
        _device.ReadRegion(RegionIndex.Bar0, (ulong)offset, value);
        return BinaryPrimitives.ReadUInt32LittleEndian(value);
    }

    internal override void WriteRegister(int offset, uint value) =>
        _device.WriteRegion(RegionIndex.Bar0, (ulong)offset, BitConverter.GetBytes(value));

    internal override byte[] Peek(int at, int count)
    {
        byte[] bytes = new byte[count];
        Assert.True(_memory.Shared.TryRead((ulong)at, bytes));
        return bytes;
    }

    internal override void Poke(int at, ReadOnlySpan<byte> bytes) => Assert.True(_memory.Shared.TryWrite((ulong)at, bytes));

    public void Dispose()
    {
        _device.Dispose();
        _memory.Release();
    }
}
