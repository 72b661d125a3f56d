namespace Vfio;

/// <summary>Where a device is in its migration; <c>enum vfio_device_mig_state</c> of <c>linux/vfio.h</c>.</summary>
public enum MigrationState
{
    /// <summary>It failed, and only a reset leads out of this; nobody can ask for it.</summary>
    Error = 0,

    /// <summary>It does not change by itself, and neither uses memory nor interrupts; its registers answer.</summary>
    Stop = 1,

    /// <summary>It works.</summary>
    Running = 2,

    /// <summary>As <see cref="Stop"/>, and its state can be read.</summary>
    StopCopy = 3,

    /// <summary>As <see cref="Stop"/>, and a state can be written to it.</summary>
    Resuming = 4,

    /// <summary>As <see cref="Running"/>, but it does not reach other devices. vfio-user does not use it.</summary>
    RunningPeerToPeer = 5,

    /// <summary>As <see cref="Running"/>, and the part of its state that may go ahead can be read.</summary>
    PreCopy = 6,

    /// <summary>As <see cref="PreCopy"/>, but it does not reach other devices. vfio-user does not use it.</summary>
    PreCopyPeerToPeer = 7,
}
