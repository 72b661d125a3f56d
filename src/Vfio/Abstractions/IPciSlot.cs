namespace Vfio;

/// <summary>The slot where a function is attached: memory, interrupts and notifications.</summary>
/// <remarks>Any thread of the function may call it, holding no lock of the function: the call may come back into it.</remarks>
public interface IPciSlot
{
    /// <summary>Reads memory as bus master.</summary>
    /// <returns>The error (EFAULT: not mapped; EACCES: mapped without this permission; EPERM: bus master is off), or <see
    /// cref="Errno.None"/>.
    /// On an error part of <paramref name="destination"/> may have been filled.</returns>
    Errno ReadMemory(Iova address, Span<byte> destination);

    /// <summary>Writes memory as bus master.</summary>
    /// <returns>As for <see cref="ReadMemory"/>; on an error part of the bytes may have been written.</returns>
    Errno WriteMemory(Iova address, ReadOnlySpan<byte> source);

    /// <summary>Looks a range of memory up as bus master, without an access to it.</summary>
    /// <param name="address">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    /// <param name="access">The access that must be allowed; <see cref="DmaAccess.None"/> for any.</param>
    /// <param name="segments">How many mappings the range lies in; on an error, those before the byte at fault.</param>
    /// <returns>As for <see cref="ReadMemory"/>. The user may change it at any time.</returns>
    Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments);

    /// <summary>How many ranges of memory are mapped now; for an emulated device that reports it. Hardware cannot know.</summary>
    int MappingCount { get; }

    /// <summary>How many accesses under way wait for an answer of the memory's owner, which may not come.</summary>
    int AccessesAtOwner => 0;

    /// <summary>Whether an access to a range needs no answer of another process: this process reaches all of the memory by itself, or
    /// refuses it. The user may change it at any time.</summary>
    /// <param name="address">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    bool IsReachedDirectly(Iova address, ulong length) => true;

    /// <summary>Whether the owner of the memory at an address, who has to answer an access, has sent a request meanwhile.</summary>
    bool IsOwnerAsking(Iova address) => false;

    /// <summary>Sets the level of the interrupt pin.</summary>
    void SetIntx(bool asserted);

    /// <summary>Sends an MSI message.</summary>
    /// <param name="vector">From 0, below the number that the function's MSI capability has.</param>
    void SignalMsi(int vector);

    /// <summary>Sends an MSI-X message.</summary>
    /// <param name="vector">From 0, below the size of the function's MSI-X table.</param>
    void SignalMsix(int vector);

    /// <summary>Whether an interrupt has a listener. An interrupt without one is lost without an error, as on a bus; a device may
    /// report that.</summary>
    /// <param name="kind">The pin, MSI or MSI-X.</param>
    /// <param name="vector">From 0; one that does not exist has no listener.</param>
    bool HasListener(InterruptIndex kind, int vector);

    /// <summary>Notifies the user that the function met an error that it could not correct: the ERR interrupt.</summary>
    void ReportError()
    {
    }

    /// <summary>Reports that the function was reset, by itself or by what was written to it: its config space is as after power-on. The
    /// guard then restores what is not the user's. Not needed for a reset that the guard requested.</summary>
    void ReportReset()
    {
    }

    /// <summary>Asks the user to release the device: the REQ interrupt.</summary>
    void RequestReturn()
    {
    }
}
