using System.Numerics;
using Vfio.Native;

namespace Vfio.Guard;

/// <summary>What is behind a BAR, or the ROM, of a <see cref="EmulatedFunction"/>.</summary>
/// <remarks>Called by one thread at a time, with ranges inside <see cref="Length"/>.</remarks>
public abstract class BarContent
{
    /// <summary>Size in bytes: a power of two.</summary>
    public abstract ulong Length { get; }

    /// <summary>The memory, when it may be mapped as a whole and needs no code for an access; else null.</summary>
    public virtual SharedMemory? Memory => null;

    /// <summary>Reads bytes. 1, 2, 4 and 8 naturally aligned bytes are one access of the driver.</summary>
    public abstract void Read(ulong offset, Span<byte> destination);

    /// <summary>Writes bytes. 1, 2, 4 and 8 naturally aligned bytes are one access of the driver.</summary>
    public abstract void Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Restores the state after power-on.</summary>
    public virtual void Reset()
    {
    }

    /// <summary>Saves the state that a migration must carry; nothing when <see cref="Memory"/> is all.</summary>
    public virtual void Save(StateWriter state)
    {
    }

    /// <summary>Restores what <see cref="Save"/> wrote. The bytes may be forged.</summary>
    /// <returns>False when they are not valid; it is reset then.</returns>
    public virtual bool TryRestore(ref StateReader state) => true;

    /// <summary>Takes the memory that another process had here, with its contents, in place of <see cref="Memory"/>.</summary>
    /// <param name="memory">Of the same length; owned by this object when it is taken.</param>
    /// <returns>False when the content cannot take memory over.</returns>
    public virtual bool TryTakeMemory(SharedMemory memory) => false;

    /// <summary><see cref="Memory"/>, for the guard, which says itself what becomes of it.</summary>
    internal virtual SharedMemory? Shown => Memory;

    /// <summary>Gives <see cref="Memory"/> a new file: the next user must not share one with the last, nor find what that one left.</summary>
    /// <param name="wasShown">Whether the last user may have mapped it.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    internal virtual void Renew(bool wasShown)
    {
    }

    internal static void CheckLength(ulong length)
    {
        if (FindFault(length) is { } fault)
            throw new ArgumentException(fault, nameof(length));
    }

    /// <summary>Why a BAR cannot have this size; null when it can.</summary>
    internal static string? FindFault(ulong length) =>
        length < 4 || !BitOperations.IsPow2(length) ? $"a BAR of 0x{length:x} bytes: its size must be a power of two, at least 4" : null;
}
