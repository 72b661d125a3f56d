using System.Buffers.Binary;
using Vfio.Guard.Config;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Hardware;

/// <summary>Config space of a device that the kernel, or a server, assigned. It keeps what permitted registers held before their user's
/// first write.</summary>
/// <remarks>Not for several threads.</remarks>
internal sealed class DeviceConfig(IVfioDevice device) : IConfigAccess
{
    private readonly Dictionary<int, uint> _permitted = [];
    private readonly Dictionary<int, OwnerValue> _owners = [];

    // Linux's table writes the bits that it keeps back as it read them.
    public bool MergesWrites => true;

    /// <summary>What permitted registers held before they were written; empty while none was.</summary>
    internal IReadOnlyCollection<OwnerValue> OwnerValues => _owners.Values;

    /// <summary>Whether a permitted register was written.</summary>
    internal bool HasOwnerValues => _owners.Count > 0;

    public uint Read(int offset, int width)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        bytes.Clear();
        device.ReadRegion(RegionIndex.Config, (ulong)offset, bytes[..width]);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public void Write(int offset, int width, uint value)
    {
        if (_permitted.Count > 0)
            Keep(offset & ~3);
        Put(offset, width, value);
    }

    /// <summary>Writes bytes of one register, all of whose bits are the user's.</summary>
    internal void Write(int offset, ReadOnlySpan<byte> source)
    {
        if (_permitted.Count > 0)
            Keep(offset & ~3);
        device.WriteRegion(RegionIndex.Config, (ulong)offset, source);
    }

    /// <summary>Keeps the value of a register from its first write on.</summary>
    /// <param name="offset">A multiple of 4.</param>
    /// <param name="writeBits">The bits that the user may write.</param>
    internal void Permit(int offset, uint writeBits)
    {
        if (writeBits != 0)
            _permitted[offset] = _permitted.GetValueOrDefault(offset) | writeBits;
    }

    /// <summary>Writes back what permitted registers held.</summary>
    internal void Restore()
    {
        foreach (OwnerValue owner in _owners.Values)
        {
            uint now = Read(owner.Offset, owner.Width);
            if ((now & owner.Mask) != owner.Value)
                Put(owner.Offset, owner.Width, (now & ~owner.Mask) | owner.Value);
        }
    }

    private void Keep(int offset)
    {
        if (!_permitted.TryGetValue(offset, out uint mask) || _owners.ContainsKey(offset))
            return;
        int at = offset;
        int width = sizeof(uint);
        KnownRegisters.Narrow(ref at, ref width, mask);
        mask >>= 8 * (at - offset);
        _owners[offset] = new OwnerValue(at, width, mask, Read(at, width) & mask);
    }

    private void Put(int offset, int width, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        device.WriteRegion(RegionIndex.Config, (ulong)offset, bytes[..width]);
    }
}
