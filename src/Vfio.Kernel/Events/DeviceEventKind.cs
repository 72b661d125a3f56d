namespace Vfio.Kernel;

/// <summary>What happened to a function, or to the hearing of it.</summary>
public enum DeviceEventKind
{
    /// <summary>It was attached, made by SR-IOV, or found by a scan of its bus.</summary>
    Added,

    /// <summary>It is gone.</summary>
    Removed,

    /// <summary>A driver has it now: <see cref="DeviceEvent.Driver"/>.</summary>
    Bound,

    /// <summary>Its driver let it go: <see cref="DeviceEvent.Driver"/>.</summary>
    Unbound,

    /// <summary>Something else about it changed.</summary>
    Changed,

    /// <summary>It has another number of virtual functions: <see cref="DeviceEvent.VirtualFunctions"/>.</summary>
    VirtualFunctionsChanged,

    /// <summary>An error of its link or its own (AER), or the end of one: <see cref="DeviceEvent.Detail"/>.</summary>
    Error,

    /// <summary>Its owner wants it back: finish what is under way and dispose it. <see cref="DeviceEvent.Within"/> says how long there is.
    /// </summary>
    ReleaseRequested,

    /// <summary>It slept (<see cref="DeviceEvents.EnterLowPower"/>) and something woke it.</summary>
    Woken,

    /// <summary>More happened than was read, and nobody knows what: look at the functions that matter again.</summary>
    Lost,
}
