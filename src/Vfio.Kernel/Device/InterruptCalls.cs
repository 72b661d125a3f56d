using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Kernel.Device;

/// <summary>Passes interrupt requests to the kernel.</summary>
internal static class InterruptCalls
{
    private const uint DataNone = 1, DataBool = 2, DataEventFd = 4;
    private const uint ActionMask = 8, ActionUnmask = 16, ActionTrigger = 32;
    private const int NoEvent = -1;

    /// <summary>VFIO_DEVICE_SET_IRQS.</summary>
    internal static void Set(DeviceFile device, in InterruptRequest request)
    {
        vfio_irq_set set = new()
        {
            index = request.Index.Value,
            start = (uint)request.Start,
            count = (uint)request.Count,
            flags = ActionOf(request.Action) | DataOf(request.Data),
        };
        if (request.Data == InterruptData.Events)
            Bind(device, set, request.Events);
        else
            device.SetIrqs(set, request.Bools);
    }

    private static void Bind(DeviceFile device, in vfio_irq_set set, ReadOnlySpan<FileDescriptor?> events)
    {
        Span<int> numbers = events.Length <= 64 ? stackalloc int[events.Length] : new int[events.Length];
        for (int i = 0; i < events.Length; i++)
            numbers[i] = events[i]?.Number ?? NoEvent;
        device.SetIrqs(set, Blittable.AsBytes<int>(numbers));
    }

    private static uint ActionOf(InterruptAction action) => action switch
    {
        InterruptAction.Mask => ActionMask,
        InterruptAction.Unmask => ActionUnmask,
        _ => ActionTrigger,
    };

    private static uint DataOf(InterruptData data) => data switch
    {
        InterruptData.None => DataNone,
        InterruptData.Bools => DataBool,
        _ => DataEventFd,
    };
}
