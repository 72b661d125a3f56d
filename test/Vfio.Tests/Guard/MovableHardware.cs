using System.Buffers;
using Vfio.Native;

namespace Vfio.Tests.Guard;

/// <summary>A <see cref="RamFunction"/> that can be migrated and has nothing to say of its own.</summary>
internal sealed class MovableHardware(RamFunction hardware) : IPciFunction, IMigratableFunction
{
    public string Name => hardware.Name;

    public int ConfigLength => hardware.ConfigLength;

    public IReadOnlyList<ResetMethod> ResetMethods => hardware.ResetMethods;

    public VirtualFunctionIds? VirtualIds => hardware.VirtualIds;

    public bool CanMigrate => true;

    public void Connect(IPciSlot slot) => hardware.Connect(slot);

    public uint ReadConfig(int offset, int width) => hardware.ReadConfig(offset, width);

    public void WriteConfig(int offset, int width, uint value) => hardware.WriteConfig(offset, width, value);

    public ulong GetLength(RegionIndex region) => hardware.GetLength(region);

    public SharedMemory? GetMemory(RegionIndex region) => null;

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => hardware.ReadRegion(region, offset, destination);

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => hardware.WriteRegion(region, offset, source);

    public Errno Reset(ResetMethod method) => hardware.Reset(method);

    public void Stop()
    {
    }

    public void Start()
    {
    }

    public void Save(IBufferWriter<byte> to)
    {
    }

    public bool TryRestore(ReadOnlySpan<byte> state) => state.Length == 0;

    public void Dispose() => hardware.Dispose();
}
