namespace Vfio.Native.Kernel;

/// <content>VFIO_DEVICE_FEATURE, for features whose data holds a descriptor or an address.</content>
internal sealed unsafe partial class DeviceFile
{
    private const uint Get = 1 << 16, Set = 1 << 17;

    /// <summary>VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, set: brings the device to a state.</summary>
    /// <returns>What the state's data goes through, when this starts a transfer; the caller's to close.</returns>
    internal FileDescriptor? SetMigrationState(uint state)
    {
        const uint MigrationDeviceState = 2;
        byte* argument = stackalloc byte[sizeof(vfio_device_feature) + sizeof(vfio_device_feature_mig_state)];
        vfio_device_feature_mig_state* data = (vfio_device_feature_mig_state*)(argument + sizeof(vfio_device_feature));
        // SAFETY: the kernel writes at most argsz bytes, and both structs outlive the call.
        *(vfio_device_feature*)argument = HeaderOf(MigrationDeviceState | Set, sizeof(vfio_device_feature_mig_state));
        *data = new vfio_device_feature_mig_state { device_state = state, data_fd = -1 };
        Call(KernelRequest.VFIO_DEVICE_FEATURE, argument);
        return data->data_fd >= 0 ? new FileDescriptor(data->data_fd) : null;
    }

    /// <summary>VFIO_DEVICE_FEATURE_DMA_LOGGING_START.</summary>
    /// <param name="pageBytes">How fine the record should be.</param>
    /// <param name="ranges">What is to be on record, apart from each other and of whole pages.</param>
    /// <returns>How fine it is, in bytes.</returns>
    internal ulong StartDmaLogging(ulong pageBytes, ReadOnlySpan<vfio_device_feature_dma_logging_range> ranges)
    {
        const uint DmaLoggingStart = 6;
        byte* argument = stackalloc byte[sizeof(vfio_device_feature) + sizeof(vfio_device_feature_dma_logging_control)];
        vfio_device_feature_dma_logging_control* data = (vfio_device_feature_dma_logging_control*)(argument + sizeof(vfio_device_feature));
        // SAFETY: the kernel writes at most argsz bytes, and reads the pinned ranges, whose number is in the request.
        fixed (vfio_device_feature_dma_logging_range* first = ranges)
        {
            *(vfio_device_feature*)argument = HeaderOf(DmaLoggingStart | Set, sizeof(vfio_device_feature_dma_logging_control));
            *data = new vfio_device_feature_dma_logging_control
            {
                page_size = pageBytes,
                num_ranges = (uint)ranges.Length,
                ranges = (ulong)first,
            };
            Call(KernelRequest.VFIO_DEVICE_FEATURE, argument);
            return data->page_size;
        }
    }

    /// <summary>VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: what was written since it was last asked.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="pageBytes">Bytes that a bit stands for; 4096 or more.</param>
    /// <param name="bitmap">Bits are set in it; whole words of 64, a bit for each page.</param>
    internal void ReportDmaLogging(ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        const uint DmaLoggingReport = 8;
        byte* argument = stackalloc byte[sizeof(vfio_device_feature) + sizeof(vfio_device_feature_dma_logging_report)];
        // SAFETY: the kernel sets bits of the pinned bitmap, one for each page; the caller made it long enough.
        fixed (byte* bits = bitmap)
        {
            *(vfio_device_feature*)argument = HeaderOf(DmaLoggingReport | Get, sizeof(vfio_device_feature_dma_logging_report));
            *(vfio_device_feature_dma_logging_report*)(argument + sizeof(vfio_device_feature)) = new vfio_device_feature_dma_logging_report
            {
                iova = start,
                length = length,
                page_size = pageBytes,
                bitmap = (ulong)bits,
            };
            Call(KernelRequest.VFIO_DEVICE_FEATURE, argument);
        }
    }

    /// <summary>VFIO_DEVICE_FEATURE with VFIO_DEVICE_FEATURE_PROBE: whether the device has a feature.</summary>
    /// <param name="feature">Which, and whether to get or set it.</param>
    internal bool HasFeature(uint feature)
    {
        const uint Probe = 1 << 18;
        // SAFETY: the kernel reads argsz bytes, and header outlives the call; a probe has no data.
        vfio_device_feature header = HeaderOf(feature | Probe, 0);
        return TryCall(KernelRequest.VFIO_DEVICE_FEATURE, &header) >= 0;
    }

    private static vfio_device_feature HeaderOf(uint feature, int dataBytes) =>
        new() { argsz = (uint)(sizeof(vfio_device_feature) + dataBytes), flags = feature };
}
