using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>REGION_WRITE_MULTI of one session.</summary>
internal static class MultiWriteCommand
{
    private const int ChunkLength = 64;

    /// <summary>Does all the writes, in their order, when each of them is allowed; else none.</summary>
    /// <param name="device">The device.</param>
    /// <param name="regions">Its regions.</param>
    /// <param name="body">The message.</param>
    /// <param name="reply">Receives how many were done.</param>
    internal static Errno Execute(IVfioDevice device, ReadOnlySpan<RegionInfo> regions, ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = RequestValidator.RegionWriteMulti(body, regions, out int count);
        if (verdict != Errno.None)
            return verdict;
        ReadOnlySpan<byte> rest = body[Blittable.SizeOf<WriteMultiMessage>()..];
        Span<RegisterWrite> chunk = stackalloc RegisterWrite[ChunkLength];
        while (rest.Length > 0)
        {
            int length = 0;
            while (rest.Length > 0 && length < ChunkLength)
            {
                RegisterWriteMessage write = Blittable.Read<RegisterWriteMessage>(rest);
                rest = rest[Blittable.SizeOf<RegisterWriteMessage>()..];
                if (write.Access.Count > 0)
                    chunk[length++] = new(new RegionIndex(write.Access.Region), write.Access.Offset, (int)write.Access.Count, write.Data);
            }

            device.WriteRegions(chunk[..length]);
        }

        reply.Append(new WriteMultiMessage { Count = (ulong)count });
        return Errno.None;
    }
}
