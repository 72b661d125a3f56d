namespace Vfio;

/// <summary>The migration state of a device; <c>enum vfio_device_mig_state</c> of <c>linux/vfio.h</c>.</summary>
public enum MigrationState
{
    /// <summary>It failed, and only a reset leaves this state; it cannot be requested.</summary>
    Error = 0,

    /// <summary>It does not change by itself, and neither uses memory nor interrupts; its registers answer.</summary>
    Stop = 1,

    /// <summary>It runs.</summary>
    Running = 2,

    /// <summary>As <see cref="Stop"/>, and its state can be read.</summary>
    StopCopy = 3,

    /// <summary>As <see cref="Stop"/>, and a state can be written to it.</summary>
    Resuming = 4,

    /// <summary>As <see cref="Running"/>, but it does not access other devices. vfio-user does not use it.</summary>
    RunningPeerToPeer = 5,

    /// <summary>As <see cref="Running"/>, and the part of its state that can be sent early can be read.</summary>
    PreCopy = 6,

    /// <summary>As <see cref="PreCopy"/>, but it does not access other devices. vfio-user does not use it.</summary>
    PreCopyPeerToPeer = 7,
}
