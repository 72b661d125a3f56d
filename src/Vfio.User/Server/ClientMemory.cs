using Vfio.Native;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>All of a client's memory that came without a descriptor, reached by DMA_READ and DMA_WRITE.</summary>
/// <remarks>Offsets are addresses of the client's DMA space, so one object serves all of a session's mappings. Any thread may use it;
/// an access is a round trip to the client. Once the session is over every access fails with ENOTCONN.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="maxTransferBytes">Data bytes that the client takes in one message; 0 when it takes none.</param>
internal sealed class ClientMemory(ServerChannel channel, int maxTransferBytes) : DmaMemory
{
    /// <inheritdoc/>
    public override bool IsOwnerAsking => channel.HasMoreCommands;

    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination)
    {
        if (maxTransferBytes == 0)
            return Errno.NotSupported;
        while (destination.Length > 0)
        {
            int count = Math.Min(destination.Length, maxTransferBytes);
            DmaTransfer transfer = new() { Address = offset, Count = (ulong)count };
            Errno error = channel.Transfer(Command.DmaRead, transfer, default, destination[..count]);
            if (error != Errno.None)
                return error;
            destination = destination[count..];
            offset += (ulong)count;
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (maxTransferBytes == 0)
            return Errno.NotSupported;
        while (source.Length > 0)
        {
            int count = Math.Min(source.Length, maxTransferBytes);
            DmaTransfer transfer = new() { Address = offset, Count = (ulong)count };
            Errno error = channel.Transfer(Command.DmaWrite, transfer, source[..count], default);
            if (error != Errno.None)
                return error;
            source = source[count..];
            offset += (ulong)count;
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    protected override void Free()
    {
    }
}
