using System.Buffers.Binary;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Run.Interface;
using Vfio.Tests.Run;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>The system calls of a program to the kernel's interface. When all its descriptors are closed, all memory is released, and the
/// devices can be opened again.</summary>
/// <remarks>A call has a byte that says which, a byte for the descriptor, and what <see cref="Call"/> reads. The program's memory starts at
/// 64 KiB: so small numbers are good addresses.</remarks>
internal static class InterfaceTarget
{
    internal const ulong MemoryStart = 0x10000;
    internal const int MemoryBytes = 0x20000, MostCalls = 200, MostDescriptors = 40;
    internal const uint FirstRequest = 0x3b64;
    internal static readonly string[] Paths =
        ["/dev/vfio/vfio", "/dev/vfio/7", "/dev/iommu", "/dev/vfio/devices/vfio0", "/dev/vfio/devices/vfio1", "/dev/vfio/8"];

    // Open by one program at a time, and tests run in parallel.
    private static readonly GuardedFunction[] Guards = [new(new EduFunction()), new(new EduFunction())];
    private static readonly Lock Turn = new();

    public static void Run(byte[] bytes) => Run(bytes, null);

    /// <summary>Runs a program.</summary>
    /// <param name="bytes">Its calls.</param>
    /// <param name="done">Receives the numbers of the ioctls that were not refused.</param>
    internal static void Run(byte[] bytes, ISet<uint>? done)
    {
        lock (Turn)
            RunAlone(bytes, done);
    }

    private static void RunAlone(byte[] bytes, ISet<uint>? done)
    {
        ServedMachine machine = new([Serve(0), Serve(1)]);
        using TestCaller caller = new(MemoryStart, MemoryBytes);
        using EventFd signalled = EventFd.Create();
        caller.Add(signalled);
        ReadOnlySpan<byte> left = bytes;
        for (int calls = 0; left.Length >= 2 && calls < MostCalls; calls++)
            left = Call(machine, caller, left, done);
        foreach (int descriptor in caller.Descriptors)
            caller.Close(descriptor);
        if (caller.LiveMemories != 0)
            throw new InvalidOperationException($"{caller.LiveMemories} memories are left");
        if (machine.Open("/dev/vfio/7", out ServedFile? group) != Errno.None)
            throw new InvalidOperationException("the group is still in use");
        group!.Dispose();
        foreach (GuardedFunction guard in Guards)
            guard.Open().Dispose();
    }

    private static ServedDevice Serve(byte number) => new(new PciAddress(0, 1, 0, number), 7, number, Guards[number].Open);

    private static ReadOnlySpan<byte> Call(ServedMachine machine, TestCaller caller, ReadOnlySpan<byte> bytes, ISet<uint>? done)
    {
        byte which = bytes[0], chosen = bytes[1];
        bytes = bytes[2..];
        if (which % 8 == 0)
        {
            if (caller.Descriptors.Count < MostDescriptors && machine.Open(Paths[chosen % Paths.Length], out ServedFile? opened) == Errno.None)
                caller.Add(opened!);
            return bytes;
        }

        int descriptor = caller.Descriptors[chosen % caller.Descriptors.Count];
        if (which % 8 == 1)
        {
            caller.Close(descriptor);
            if (caller.Descriptors.Count == 0)
                caller.Add(EventFd.Create());
            return bytes;
        }

        if (which % 8 <= 5)
            return Ioctl(caller, caller.FileOf(descriptor), bytes, done);
        Span<byte> numbers = stackalloc byte[16];
        numbers.Clear();
        bytes[..Math.Min(bytes.Length, numbers.Length)].CopyTo(numbers);
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(numbers);
        ulong address = BinaryPrimitives.ReadUInt32LittleEndian(numbers[8..]), count = BinaryPrimitives.ReadUInt32LittleEndian(numbers[12..]);
        if (caller.FileOf(descriptor) is { } file)
        {
            Check(which % 8 == 6 ? file.Read(caller, offset, address, count) : file.Write(caller, offset, address, count));
            Check(-(long)file.Map(offset, count, true).Error);
        }

        return bytes[Math.Min(bytes.Length, numbers.Length)..];
    }

    /// <summary>The number of the request, how many bytes the struct has, and the struct; none for an argument that is a number.</summary>
    private static ReadOnlySpan<byte> Ioctl(TestCaller caller, ServedFile? file, ReadOnlySpan<byte> bytes, ISet<uint>? done)
    {
        if (bytes.Length < 2)
            return [];
        uint request = FirstRequest + bytes[0];
        int count = Math.Min(bytes[1] & 0x7f, bytes.Length - 2);
        bool isNumber = (bytes[1] & 0x80) != 0;
        ReadOnlySpan<byte> data = bytes.Slice(2, count);
        caller.TryWrite(MemoryStart, data);
        if (caller.Descriptors.Count < MostDescriptors && file is not null)
        {
            long result = file.Ioctl(caller, request, isNumber ? (ulong)count : MemoryStart);
            Check(result);
            if (result >= 0)
                done?.Add(request);
        }

        return bytes[(2 + count)..];
    }

    private static void Check(long result)
    {
        if (result is < -4095 or > int.MaxValue)
            throw new InvalidOperationException($"{result} is no result of a system call");
    }
}
