using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.User.Wire;

/// <summary>Body of DMA_READ and DMA_WRITE and of their replies: 16 bytes, then <see cref="Count"/> data bytes
/// in the reply to a read and in the request of a write.</summary>
/// <remarks>vfio-user, sections "VFIO_USER_DMA_READ" and "VFIO_USER_DMA_WRITE". The reply to a write has a count of 4 bytes in the
/// specification's table and of 8 in its clients; both are taken, 8 are sent.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal record struct DmaTransfer
{
    /// <summary>First address in the client's DMA space.</summary>
    public ulong Address;

    /// <summary>Data bytes, at most the receiver's <c>max_data_xfer_size</c>.</summary>
    public ulong Count;

    /// <summary>Whether the body of a reply answers this request: the same range, and all bytes of a read.</summary>
    internal readonly bool IsAnsweredBy(Command command, ReadOnlySpan<byte> body)
    {
        int length = Blittable.SizeOf<DmaTransfer>();
        if (command == Command.DmaRead)
            return body.Length == length + (int)Count && Blittable.TryRead(body, out DmaTransfer read) && read == this;

        // Some clients answer a write with a count of 4 bytes, as the specification's table has it.
        return body.Length >= 12 && Blittable.Read<ulong>(body) == Address && Blittable.Read<uint>(body[8..]) == (uint)Count;
    }
}
