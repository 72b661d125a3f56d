namespace Vfio.Kernel;

/// <summary>Tells a program to let go of the device that it drives: because its owner wants it back, because it has an error that it
/// could not correct, or because it is gone.</summary>
/// <remarks>
/// <para>Hearing starts with the constructor: a watch that is made before the device is opened misses nothing.</para>
/// <para>The program finishes what is under way and disposes the device; nobody takes it by force. Where the machine lets this
/// process hear nothing, nothing is told.</para>
/// </remarks>
public sealed class DeviceWatch : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DeviceEvents? _events = TryHear();
    private Task? _reading;
    private volatile DeviceEvent? _reason;

    /// <summary>Cancelled when the device has to be let go.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Why <see cref="Stop"/> was cancelled, and how long the device may be kept still; null until then.</summary>
    public DeviceEvent? Reason => _reason;

    /// <summary>Watches a device, of which its driver then does not wait for <see cref="InterruptIndex.Request"/> and
    /// <see cref="InterruptIndex.Error"/> itself.</summary>
    /// <param name="device">It stays the caller's.</param>
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
            // The provider does not signal; what the machine says of the device is heard all the same.
        }

        _reading = ReadAsync(_events, device);
    }

    /// <summary>Ends it; <see cref="Stop"/> is not cancelled by that.</summary>
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

    /// <summary>What to say; null when the device was released by now.</summary>
    private static DeviceEvent? ReasonOf(DeviceEvent happened, PciDevice device)
    {
        try
        {
            // The kernel asks for a device that was removed, too. One with an error may not answer, and is there.
            bool isGone = happened.Kind == DeviceEventKind.ReleaseRequested && !device.IsPresent;
            return isGone ? happened with { Kind = DeviceEventKind.Removed, Within = null } : happened;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    // An error with the kernel's word for it is one of the link, which the kernel tries to mend.
    private static bool IsEnd(DeviceEvent happened) => happened.Kind switch
    {
        DeviceEventKind.ReleaseRequested or DeviceEventKind.Removed => true,
        DeviceEventKind.Error => happened.Detail is null,
        _ => false,
    };
}
