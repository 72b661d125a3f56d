namespace Vfio.Kernel;

/// <summary>The kind of a <see cref="DeviceEvent"/>.</summary>
public enum DeviceEventKind
{
    /// <summary>It was attached, made by SR-IOV, or found by a scan of its bus.</summary>
    Added,

    /// <summary>It was removed.</summary>
    Removed,

    /// <summary>A driver was bound to it: <see cref="DeviceEvent.Driver"/>.</summary>
    Bound,

    /// <summary>Its driver was unbound: <see cref="DeviceEvent.Driver"/>.</summary>
    Unbound,

    /// <summary>Something else about it changed.</summary>
    Changed,

    /// <summary>Its number of virtual functions changed: <see cref="DeviceEvent.VirtualFunctions"/>.</summary>
    VirtualFunctionsChanged,

    /// <summary>An error of its link or of itself (AER), or the end of one: <see cref="DeviceEvent.Detail"/>.</summary>
    Error,

    /// <summary>Its owner requests its release (REQ): finish the work and dispose it within <see cref="DeviceEvent.Within"/>.</summary>
    ReleaseRequested,

    /// <summary>It left the low-power state of <see cref="DeviceEvents.EnterLowPower"/> by itself, or because the host needed it.</summary>
    Woken,

    /// <summary>Unknown events were lost, because they were not read in time: read the state of the functions again.</summary>
    Lost,
}
