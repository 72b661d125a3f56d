using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Sends DEVICE_SET_IRQS, in as many messages as the server's limits require.</summary>
/// <remarks>Guarded by the client's lock.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
/// <param name="maxDescriptors">Descriptors that the server takes in one message.</param>
/// <param name="maxTransferBytes">Data bytes that it takes in one message.</param>
internal sealed class InterruptRequests(ClientChannel channel, string name, int maxDescriptors, int maxTransferBytes)
{
    /// <summary>Sends a request, whole or in parts; the parts before one that fails stay done.</summary>
    internal void Send(in InterruptRequest request)
    {
        if (request.Bools.Length > maxTransferBytes)
            throw new VfioException("DEVICE_SET_IRQS", name, Errno.InvalidArgument, $"{request.Bools.Length} vectors in one request");
        if (request.Data == InterruptData.Events && request.Count > 0)
            BindInChunks(request);
        else
            SetOnce(request, request.Start, request.Count, request.Bools, default);
    }

    private void BindInChunks(in InterruptRequest request)
    {
        FileDescriptor[] chunk = new FileDescriptor[Math.Min(maxDescriptors, request.Count)];
        int done = 0;
        while (done < request.Count)
        {
            // A message has a descriptor for each of its vectors, or none at all.
            bool bind = request.Events[done] is not null;
            int most = bind ? chunk.Length : request.Count;
            int count = 0;
            while (done + count < request.Count && count < most && request.Events[done + count] is { } == bind)
            {
                if (bind)
                    chunk[count] = request.Events[done + count]!;
                count++;
            }

            if (count == 0)
                throw new VfioException("DEVICE_SET_IRQS", name, Errno.NotSupported, "the server takes no descriptors");
            SetOnce(request, request.Start + done, count, default, bind ? chunk.AsSpan(0, count) : default);
            done += count;
        }
    }

    private void SetOnce(in InterruptRequest request, int start, int count, ReadOnlySpan<byte> bools, ReadOnlySpan<FileDescriptor> events)
    {
        IrqSetFlags data = request.Data switch
        {
            InterruptData.None => IrqSetFlags.DataNone,
            InterruptData.Bools => IrqSetFlags.DataBool,
            _ => IrqSetFlags.DataEventFd,
        };
        IrqSetFlags action = request.Action switch
        {
            InterruptAction.Mask => IrqSetFlags.ActionMask,
            InterruptAction.Unmask => IrqSetFlags.ActionUnmask,
            _ => IrqSetFlags.ActionTrigger,
        };
        SetIrqsMessage message = new()
        {
            ArgSize = (uint)(Blittable.SizeOf<SetIrqsMessage>() + bools.Length),
            Flags = data | action,
            Index = request.Index.Value,
            Start = (uint)start,
            Count = (uint)count,
        };
        Errno error = channel.Request(Command.DeviceSetIrqs, Blittable.AsBytes(ref message), bools, events, out _);
        if (error != Errno.None)
            throw new VfioException("DEVICE_SET_IRQS", name, error, $"{request.Action} of {request.Index}, {count} from {start}");
    }
}
