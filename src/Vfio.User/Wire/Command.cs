namespace Vfio.User.Wire;

/// <summary>The command of a message; field <c>Command</c> of every header.</summary>
/// <remarks>vfio-user, section "Commands". 14 was DIRTY_PAGES once and is not used.</remarks>
internal enum Command : ushort
{
    /// <summary>Agree on a version and capabilities; the first message of a session.</summary>
    Version = 1,

    /// <summary>The device may use a range of addresses.</summary>
    DmaMap = 2,

    /// <summary>The device may no longer use a range of addresses.</summary>
    DmaUnmap = 3,

    /// <summary>How many regions and kinds of interrupt there are.</summary>
    DeviceGetInfo = 4,

    /// <summary>How long a region is and how it may be reached.</summary>
    DeviceGetRegionInfo = 5,

    /// <summary>Descriptors that reach parts of a region.</summary>
    DeviceGetRegionIoFds = 6,

    /// <summary>How many vectors a kind of interrupt has.</summary>
    DeviceGetIrqInfo = 7,

    /// <summary>Bind, mask, unmask or fire vectors.</summary>
    DeviceSetIrqs = 8,

    /// <summary>Read bytes of a region.</summary>
    RegionRead = 9,

    /// <summary>Write bytes of a region.</summary>
    RegionWrite = 10,

    /// <summary>Server to client: read bytes of the client's memory.</summary>
    DmaRead = 11,

    /// <summary>Server to client: write bytes of the client's memory.</summary>
    DmaWrite = 12,

    /// <summary>Reset the device.</summary>
    DeviceReset = 13,

    /// <summary>Several small writes at once.</summary>
    RegionWriteMulti = 15,

    /// <summary>Optional features: migration, DMA logging.</summary>
    DeviceFeature = 16,

    /// <summary>Read migration data.</summary>
    MigDataRead = 17,

    /// <summary>Write migration data.</summary>
    MigDataWrite = 18,
}
