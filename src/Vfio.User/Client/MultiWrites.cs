using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Sends REGION_WRITE_MULTI.</summary>
/// <remarks>Guarded by the client's lock.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
internal sealed class MultiWrites(ClientChannel channel, string name)
{
    private readonly byte[] _body = new byte[WriteMultiMessage.MaxSent * Blittable.SizeOf<RegisterWriteMessage>()];

    /// <summary>Sends the writes, in as few messages as possible.</summary>
    /// <param name="writes">The writes, in their order.</param>
    /// <param name="isPosted">Whether to request no reply.</param>
    internal void Send(ReadOnlySpan<RegisterWrite> writes, bool isPosted)
    {
        while (writes.Length > 0)
        {
            int count = Math.Min(writes.Length, WriteMultiMessage.MaxSent);
            SendOnce(writes[..count], isPosted);
            writes = writes[count..];
        }
    }

    private void SendOnce(ReadOnlySpan<RegisterWrite> writes, bool isPosted)
    {
        int bytes = 0;
        foreach (RegisterWrite write in writes)
        {
            RegionAccessMessage access = new() { Offset = write.Offset, Region = write.Region.Value, Count = (uint)write.Width };
            Blittable.Write(_body.AsSpan(bytes), new RegisterWriteMessage { Access = access, Data = write.Value });
            bytes += Blittable.SizeOf<RegisterWriteMessage>();
        }

        WriteMultiMessage head = new() { Count = (ulong)writes.Length };
        if (isPosted)
        {
            channel.Post(Command.RegionWriteMulti, Blittable.AsBytes(ref head), _body.AsSpan(0, bytes));
            return;
        }

        Errno error = channel.Request(
            Command.RegionWriteMulti, Blittable.AsBytes(ref head), _body.AsSpan(0, bytes), default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw new VfioException($"{writes.Length} writes from {writes[0].Region} at 0x{writes[0].Offset:x} on", name, error);
        if (!Blittable.TryRead(reply, out WriteMultiMessage done) || done.Count > head.Count)
            throw channel.Break(Errno.Protocol, $"its reply to {Command.RegionWriteMulti} of {head.Count} writes has {reply.Length} bytes");
        if (done.Count < head.Count)
        {
            RegisterWrite first = writes[(int)done.Count];
            throw new VfioException($"write of {first.Region} at 0x{first.Offset:x}", name, Errno.InputOutput, $"{done.Count} of {head.Count} writes were done");
        }
    }
}
