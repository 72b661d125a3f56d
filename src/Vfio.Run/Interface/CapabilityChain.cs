using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The capabilities behind the struct of an INFO ioctl; <c>struct vfio_info_cap_header</c>.</summary>
/// <remarks>Each begins at a multiple of 8 bytes. The flag of the struct says that there are some; when they do not fit, the struct's
/// <c>argsz</c> says how many bytes it takes, and its offset of the first stays 0.</remarks>
internal sealed class CapabilityChain
{
    private const int Alignment = 8;
    private readonly List<byte> _bytes = [];
    private int _last = -1;

    /// <summary>How many bytes they take.</summary>
    internal int Length => _bytes.Count;

    /// <summary>Adds one.</summary>
    /// <typeparam name="T">Its struct, which begins with <see cref="vfio_info_cap_header"/>.</typeparam>
    /// <param name="capability">The struct, without header.</param>
    /// <param name="id">Which capability.</param>
    /// <param name="tail">What follows the struct.</param>
    internal void Add<T>(T capability, ushort id, ReadOnlySpan<byte> tail = default)
        where T : unmanaged
    {
        if (_last >= 0)
            Patch(_last, (uint)_bytes.Count);
        _last = _bytes.Count;
        _bytes.AddRange(Blittable.AsBytes(ref capability));
        _bytes.AddRange(tail);
        while (_bytes.Count % Alignment != 0)
            _bytes.Add(0);
        vfio_info_cap_header header = new() { id = id, version = 1 };
        Set(_last, header);
    }

    /// <summary>Writes them behind the struct.</summary>
    /// <param name="caller">Who asked.</param>
    /// <param name="address">Where the struct is.</param>
    /// <param name="structBytes">Its size.</param>
    /// <returns>False: EFAULT.</returns>
    internal bool TryWrite(ICaller caller, ulong address, int structBytes)
    {
        byte[] bytes = [.. _bytes];
        for (int at = 0; ;)
        {
            vfio_info_cap_header header = Blittable.Read<vfio_info_cap_header>(bytes.AsSpan(at));
            if (header.next == 0)
                break;
            int next = (int)header.next;
            header.next += (uint)structBytes;
            Blittable.Write(bytes.AsSpan(at), header);
            at = next;
        }

        return caller.TryWrite(address + (uint)structBytes, bytes);
    }

    private void Patch(int at, uint next)
    {
        byte[] head = [.. _bytes.GetRange(at, Blittable.SizeOf<vfio_info_cap_header>())];
        Set(at, Blittable.Read<vfio_info_cap_header>(head) with { next = next });
    }

    private void Set(int at, vfio_info_cap_header header)
    {
        ReadOnlySpan<byte> bytes = Blittable.AsBytes(ref header);
        for (int i = 0; i < bytes.Length; i++)
            _bytes[at + i] = bytes[i];
    }
}
