namespace Vfio.Tracing;

/// <summary>What an event of a trace is. The numbers are those in the file.</summary>
/// <remarks>All but a read are recorded before they reach the device, so that what they cause comes after them. When the device refuses
/// one of these, an <see cref="Error"/> of the same thread follows.</remarks>
public enum TraceEventKind : byte
{
    /// <summary>No event.</summary>
    None = 0,

    /// <summary>A session begins: its device is opened. The data is the device's name, Number its flags, Place how many regions it has,
    /// Value
    /// how many kinds of interrupts.</summary>
    Open = 1,

    /// <summary>A region of the device, at the begin of a session: Number, its flags in Place, its size in Value.</summary>
    Region = 2,

    /// <summary>A kind of interrupt, at the begin of a session: Number, its flags in Place, how many vectors in Value.</summary>
    InterruptKind = 3,

    /// <summary>Config space at the begin of a session, in the data.</summary>
    ConfigSpace = 4,

    /// <summary>A range where memory can be mapped, at the begin of a session: from Place on, Value bytes.</summary>
    AddressRange = 5,

    /// <summary>The user read a region, Number, at Place: Length bytes with Value.</summary>
    Read = 6,

    /// <summary>The user writes a region, Number, at Place: Length bytes with Value.</summary>
    Write = 7,

    /// <summary>The user binds, masks, unmasks or fires interrupts of the kind Number: Length vectors from Place on. Value is the action in
    /// bits 7:0 and the form of the request in bits 15:8; the data has a byte for each vector that has an eventfd or is meant.</summary>
    SetInterrupts = 8,

    /// <summary>The device interrupts: kind Number, vector Place.</summary>
    Interrupt = 9,

    /// <summary>The user maps memory at Place, Value bytes, for the accesses in Number.</summary>
    Map = 10,

    /// <summary>The user unmaps memory at Place, Value bytes.</summary>
    Unmap = 11,

    /// <summary>The user unmaps all memory.</summary>
    UnmapAll = 12,

    /// <summary>The device read memory at Place, Length bytes.</summary>
    DmaRead = 13,

    /// <summary>The device writes memory at Place, Length bytes.</summary>
    DmaWrite = 14,

    /// <summary>The user resets the device.</summary>
    Reset = 15,

    /// <summary>The user asks for a migration state, Value.</summary>
    SetMigrationState = 16,

    /// <summary>The user read Length bytes of the device's state.</summary>
    ReadState = 17,

    /// <summary>The user writes Length bytes of the device's state.</summary>
    WriteState = 18,

    /// <summary>The device refused what this thread asked for: Error is the errno, Value the kind of the event that it refused.</summary>
    Error = 19,

    /// <summary>The device was lost and found again: its registers are as after a reset.</summary>
    Restarted = 20,

    /// <summary>The device is gone.</summary>
    Removed = 21,

    /// <summary>The user closes the device.</summary>
    Close = 22,

    /// <summary>Events are missing here, Value of them: they came faster than they could be written.</summary>
    Lost = 23,
}
