namespace Vfio.Kernel;

/// <summary>Notifies a program that it has to release its device: because the owner requests it, the device has an uncorrectable error, or
/// the device is gone.</summary>
/// <remarks>
/// <para>Events are recorded from the constructor on: a watch that is made before the device is opened misses nothing.</para>
/// <para>The program finishes its work and disposes the device; it is not forced to. If this process cannot receive uevents, only the
/// device's own signals are reported.</para>
/// </remarks>
public sealed class DeviceWatch : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DeviceEvents? _events = TryHear();
    private Task? _reading;
    private volatile DeviceEvent? _reason;

    /// <summary>Cancelled when the device has to be released.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Why <see cref="Stop"/> was cancelled, and how long the device may be kept; null until then.</summary>
    public DeviceEvent? Reason => _reason;

    /// <summary>Watches a device. Its driver must not wait for <see cref="InterruptIndex.Request"/> and
    /// <see cref="InterruptIndex.Error"/> itself.</summary>
    /// <param name="device">The device; the caller keeps it.</param>
    /// <exception cref="InvalidOperationException">It watches one already.</exception>
    public void Start(PciDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (_reading is not null)
            throw new InvalidOperationException("one watch is for one device");
        if (_events is null)
            return;
        try
        {
            _events.Listen(device);
        }
        catch (VfioException)
        {
            // The device has no such interrupts; uevents of it are received all the same.
        }

        _reading = ReadAsync(_events, device);
    }

    /// <summary>Ends the watch, and does not cancel <see cref="Stop"/>.</summary>
    public void Dispose()
    {
        _events?.Dispose();
        _reading?.GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private static DeviceEvents? TryHear()
    {
        try
        {
            return new DeviceEvents();
        }
        catch (VfioException)
        {
            return null;
        }
    }

    private async Task ReadAsync(DeviceEvents events, PciDevice device)
    {
        await foreach (DeviceEvent happened in events.ReadAllAsync().ConfigureAwait(false))
        {
            if (happened.Device != device.Name || !IsEnd(happened))
                continue;
            if (ReasonOf(happened, device) is not { } reason)
                return;
            _reason = reason;
            await _stop.CancelAsync().ConfigureAwait(false);
            return;
        }
    }

    /// <summary>The event to report; null when the device has been released by now.</summary>
    private static DeviceEvent? ReasonOf(DeviceEvent happened, PciDevice device)
    {
        try
        {
            // The kernel requests the release of a removed device, too. A device with an error is there, though it may not answer.
            bool isGone = happened.Kind == DeviceEventKind.ReleaseRequested && !device.IsPresent;
            return isGone ? happened with { Kind = DeviceEventKind.Removed, Within = null } : happened;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    // An error with a detail is one of the link, from which the kernel tries to recover.
    private static bool IsEnd(DeviceEvent happened) => happened.Kind switch
    {
        DeviceEventKind.ReleaseRequested or DeviceEventKind.Removed => true,
        DeviceEventKind.Error => happened.Detail is null,
        _ => false,
    };
}
