namespace Vfio.Guard.Interrupts;

/// <summary>Validates an interrupt request before anything is changed.</summary>
/// <remarks>The results are those of the kernel's <c>VFIO_DEVICE_SET_IRQS</c>, with two exceptions: a kind that is off may be turned
/// off again, and message signalled vectors can be masked.</remarks>
internal static class InterruptRequestValidator
{
    /// <param name="request">The request.</param>
    /// <param name="info">The kind that it names.</param>
    /// <param name="inUse">The one of INTx, MSI and MSI-X that has eventfds bound; null when none has.</param>
    /// <returns>EINVAL: the vectors do not exist, or the request does not fit the current state; ENOTTY: the kind has no such
    /// action.</returns>
    internal static Errno Check(in InterruptRequest request, in InterruptInfo info, InterruptIndex? inUse)
    {
        if (request.Start < 0 || request.Count < 0 || request.Start >= info.Count || request.Count > info.Count - request.Start)
            return Errno.InvalidArgument;
        if (request.IsDisable)
            return Errno.None;
        if (request.Count == 0 || !Enum.IsDefined(request.Action) || !Enum.IsDefined(request.Data))
            return Errno.InvalidArgument;
        if (request.Action != InterruptAction.Trigger && (info.Flags & InterruptFlags.Maskable) == 0)
            return Errno.NoSuchOperation;
        bool isExclusive = info.Index.Value <= InterruptIndex.Msix.Value;
        bool isOn = inUse == info.Index;
        if (request.Action == InterruptAction.Trigger && isExclusive)
        {
            // A function uses one kind at a time, and only bound vectors can be fired by a request.
            bool isRefused = request.Data == InterruptData.Events ? inUse is not null && !isOn : !isOn;
            return isRefused ? Errno.InvalidArgument : Errno.None;
        }

        return info.Index == InterruptIndex.Intx && !isOn ? Errno.InvalidArgument : Errno.None;
    }
}
