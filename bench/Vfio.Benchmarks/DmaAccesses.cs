using BenchmarkDotNet.Attributes;
using Vfio.Guard;
using Vfio.Guard.Dma;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Benchmarks;

/// <summary>What a device's access to its client's memory costs, where the file is sealed against truncation and mapped, and where it is
/// not and every access is a pread or a pwrite.</summary>
[MemoryDiagnoser]
public class DmaAccesses
{
    private static readonly Iova Start = new(0x1000_0000);
    private readonly DmaTable _table = new();
    private byte[] _bytes = [];
    private SharedDmaMemory? _memory;

    /// <summary>Bytes of one access.</summary>
    [Params(64, 4 << 10, 1 << 20)]
    public int Bytes { get; set; }

    /// <summary>Whether the file cannot be truncated.</summary>
    [Params(true, false)]
    public bool Sealed { get; set; }

    /// <summary>Maps the memory as a server does.</summary>
    [GlobalSetup]
    public void Map()
    {
        const ulong Length = 2 << 20;
        using FileDescriptor file = Sealed ? MemoryFile.Create("bench", Length) : MemoryFile.CreateUnsealed("bench", Length);
        _memory = new SharedDmaMemory(SharedMemory.Share(file, 0, Length, writable: true));
        _table.Map(new DmaMapping(Start, Length, DmaAccess.ReadWrite, _memory, 0));
        _bytes = new byte[Bytes];
        _table.Write(Start, new byte[Length]);
    }

    /// <summary>The device reads.</summary>
    [Benchmark]
    public Errno Read() => _table.Read(Start, _bytes);

    /// <summary>The device writes.</summary>
    [Benchmark]
    public Errno Write() => _table.Write(Start, _bytes);

    /// <summary>Lets go of the memory.</summary>
    [GlobalCleanup]
    public void Unmap()
    {
        _table.Clear();
        _memory!.Release();
    }
}
