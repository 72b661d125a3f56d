using Vfio.Native;
using Vfio.Run.Interface;

namespace Vfio.Tests.Run;

/// <summary>A program, as the kernel's interface sees it: some memory, and descriptors that are files of the interface or of the
/// machine.</summary>
/// <param name="start">Where its memory is.</param>
/// <param name="length">How much it has, in bytes.</param>
internal sealed class TestCaller(ulong start = TestCaller.Base, int length = TestCaller.Bytes) : ICaller, IDisposable
{
    internal const ulong Base = 0x7000_0000_0000;
    internal const int Bytes = 4 << 20;
    private readonly byte[] _memory = new byte[length];
    private readonly ulong _start = start;
    private readonly Dictionary<int, object> _descriptors = [];
    private ulong _next = start;
    private int _nextDescriptor = 3;

    public int ProcessId => 1;

    /// <summary>Memory that devices were given and have not released.</summary>
    internal int LiveMemories { get; private set; }

    /// <summary>How many descriptors can be installed; each one takes one.</summary>
    internal int FreeDescriptors { get; set; } = int.MaxValue;

    public bool TryRead(ulong address, Span<byte> destination)
    {
        if (!Has(address, (ulong)destination.Length))
            return false;
        _memory.AsSpan((int)(address - _start), destination.Length).CopyTo(destination);
        return true;
    }

    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        if (!Has(address, (ulong)source.Length))
            return false;
        source.CopyTo(_memory.AsSpan((int)(address - _start)));
        return true;
    }

    public FileDescriptor? CopyDescriptor(int descriptor) => _descriptors.GetValueOrDefault(descriptor) switch
    {
        EventFd eventFd => eventFd.Descriptor.Duplicate(),
        FileDescriptor file => file.Duplicate(),
        _ => null,
    };

    public ServedFile? FileOf(int descriptor) => _descriptors.GetValueOrDefault(descriptor) as ServedFile;

    public int Install(ServedFile file)
    {
        const int TooManyOpenFiles = 24;
        return FreeDescriptors-- > 0 ? Add(file) : -TooManyOpenFiles;
    }

    public DmaMemory? GetMemory(ulong address, ulong count, bool isWritten)
    {
        if (!Has(address, count))
            return null;
        LiveMemories++;
        return new Memory(this, address);
    }

    /// <summary>Gives the program an open file.</summary>
    internal int Add(object file)
    {
        _descriptors.Add(_nextDescriptor, file);
        return _nextDescriptor++;
    }

    /// <summary>Its descriptors.</summary>
    internal IReadOnlyList<int> Descriptors => [.. _descriptors.Keys];

    /// <summary>Closes a descriptor, the last one of its file.</summary>
    internal void Close(int descriptor)
    {
        _descriptors.Remove(descriptor, out object? file);
        (file as IDisposable)?.Dispose();
    }

    /// <summary>A place for bytes, with nothing else in the same 4 KiB.</summary>
    internal ulong Allocate(int bytes)
    {
        ulong address = _next;
        _next += ((ulong)bytes + 0xfff) & ~0xffful;
        Demand(_next <= _start + (ulong)_memory.Length);
        return address;
    }

    /// <summary>Puts bytes in memory: 32-bit numbers, or 64-bit ones, or arrays of bytes.</summary>
    internal ulong Put(params object[] fields)
    {
        using MemoryStream bytes = new();
        foreach (object field in fields)
        {
            bytes.Write(field switch
            {
                int number => BitConverter.GetBytes(number),
                uint number => BitConverter.GetBytes(number),
                ulong number => BitConverter.GetBytes(number),
                ushort number => BitConverter.GetBytes(number),
                byte[] raw => raw,
                _ => throw new ArgumentException(field.GetType().Name),
            });
        }

        ulong address = Allocate(Math.Max((int)bytes.Length, 64));
        Demand(TryWrite(address, bytes.ToArray()));
        return address;
    }

    internal uint Get32(ulong address) => BitConverter.ToUInt32(Get(address, 4));

    internal ulong Get64(ulong address) => BitConverter.ToUInt64(Get(address, 8));

    internal ushort Get16(ulong address) => BitConverter.ToUInt16(Get(address, 2));

    internal byte[] Get(ulong address, int count)
    {
        byte[] bytes = new byte[count];
        Demand(TryRead(address, bytes));
        return bytes;
    }

    // Fuzzers, which are no tests, use it too.
    private static void Demand(bool isInside)
    {
        if (!isInside)
            throw new InvalidOperationException("the test is wrong: that is outside of its program's memory");
    }

    public void Dispose()
    {
        foreach (object file in _descriptors.Values)
            (file as IDisposable)!.Dispose();
    }

    private bool Has(ulong address, ulong count) =>
        address >= _start && count <= (ulong)_memory.Length && address - _start <= (ulong)_memory.Length - count;

    private sealed class Memory(TestCaller owner, ulong address) : DmaMemory
    {
        public override Errno Read(ulong offset, Span<byte> destination) =>
            owner.TryRead(address + offset, destination) ? Errno.None : Errno.BadAddress;

        public override Errno Write(ulong offset, ReadOnlySpan<byte> source) =>
            owner.TryWrite(address + offset, source) ? Errno.None : Errno.BadAddress;

        protected override void Free() => owner.LiveMemories--;
    }
}
