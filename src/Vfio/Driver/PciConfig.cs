using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Memory;
using Vfio.Pci;

namespace Vfio;

/// <summary>Config space of a device, as its provider presents it. Each access is one of the width in its name.</summary>
/// <remarks>Any thread may use it. Reads and writes allocate nothing.</remarks>
public sealed class PciConfig
{
    private readonly IVfioDevice _device;
    private int _end;

    internal PciConfig(IVfioDevice device)
    {
        _device = device;
        Length = (int)device.GetRegion(RegionIndex.Config).Length;
        _end = Length;
    }

    /// <summary>Size in bytes: 256, or 4096 with the extended space of PCI Express.</summary>
    public int Length { get; }

    /// <summary>Reads 8 bits.</summary>
    public byte Read8(int offset)
    {
        Check(offset, 1);
        byte value = 0;
        _device.ReadRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Reads 16 bits at a multiple of 2.</summary>
    public ushort Read16(int offset)
    {
        Check(offset, 2);
        ushort value = 0;
        _device.ReadRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Reads 32 bits at a multiple of 4.</summary>
    public uint Read32(int offset)
    {
        Check(offset, 4);
        uint value = 0;
        _device.ReadRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Writes 8 bits. Bits that the provider does not let its user change stay, without an error.</summary>
    public void Write8(int offset, byte value)
    {
        Check(offset, 1);
        _device.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
    }

    /// <summary>Writes 16 bits at a multiple of 2. Bits that the provider does not let its user change stay, without an error.</summary>
    public void Write16(int offset, ushort value)
    {
        Check(offset, 2);
        _device.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
    }

    /// <summary>Writes 32 bits at a multiple of 4. Bits that the provider does not let its user change stay, without an error.</summary>
    public void Write32(int offset, uint value)
    {
        Check(offset, 4);
        _device.WriteRegion(RegionIndex.Config, (ulong)offset, Blittable.AsBytes(ref value));
    }

    /// <summary>Reads all of it, for decoding.</summary>
    public ConfigSpace Snapshot()
    {
        Check(0, 1);
        byte[] bytes = new byte[Math.Min(Length, ConfigSpace.ExtendedLength)];
        _device.ReadRegion(RegionIndex.Config, 0, bytes);
        return new ConfigSpace(bytes);
    }

    /// <summary>Reads the lists of capabilities.</summary>
    public CapabilityList ReadCapabilities() => CapabilityList.Read(Snapshot());

    /// <summary>Finds the first capability of a kind.</summary>
    /// <param name="id">Its id, by the PCI Code and ID Assignment specification.</param>
    /// <param name="isExtended">Whether to look in the extended list.</param>
    /// <returns>Null when the function has none.</returns>
    public Capability? FindCapability(ushort id, bool isExtended = false) => ReadCapabilities().Find(id, isExtended);

    /// <summary>The device was given back: every access fails from now on.</summary>
    internal void Close() => _end = 0;

    private void Check(int offset, int width)
    {
        if (offset < 0 || offset > _end - width || offset % width != 0)
            ThrowBadAccess(offset, width);
    }

    private void ThrowBadAccess(int offset, int width)
    {
        ObjectDisposedException.ThrowIf(_end < Length, typeof(PciDevice));
        throw new ArgumentOutOfRangeException(
            nameof(offset),
            $"a {width}-byte access at 0x{offset:x} does not fit the 0x{Length:x} bytes of config space of {_device.Name}: "
            + AllowedOffsets.For(width, Length, width));
    }
}
