using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>Structs in the memory of who calls.</summary>
internal static class CallerMemory
{
    private const int AddressBits = 47;

    /// <summary>What is looked at of a struct that is longer than known. The kernel looks at all of it; nobody has one this long.</summary>
    private const int MaxStructBytes = 4096;

    /// <summary>Reads a struct.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>False: EFAULT.</returns>
    internal static bool TryRead<T>(this ICaller caller, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return caller.TryRead(address, Blittable.AsBytes(ref value));
    }

    /// <summary>Reads the first bytes of a struct; the others are 0.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>False: EFAULT.</returns>
    internal static bool TryRead<T>(this ICaller caller, ulong address, int bytes, out T value)
        where T : unmanaged
    {
        value = default;
        return caller.TryRead(address, Blittable.AsBytes(ref value)[..bytes]);
    }

    /// <summary>Reads a struct that says its own size, as the kernel's <c>copy_struct_from_user</c>: what a shorter one lacks is 0.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <param name="caller">Who has it.</param>
    /// <param name="address">Where it is.</param>
    /// <param name="size">Its size.</param>
    /// <param name="value">The struct.</param>
    /// <returns>E2BIG: it has something behind what is known here; EFAULT.</returns>
    internal static Errno ReadStruct<T>(this ICaller caller, ulong address, uint size, out T value)
        where T : unmanaged
    {
        int known = (int)Math.Min(size, (uint)Blittable.SizeOf<T>());
        if (!caller.TryRead(address, known, out value))
            return Errno.BadAddress;
        if (size == known)
            return Errno.None;
        if (size > MaxStructBytes)
            return Errno.TooBig;
        Span<byte> rest = stackalloc byte[(int)size - known];
        if (!caller.TryRead(address + (uint)known, rest))
            return Errno.BadAddress;
        return rest.ContainsAnyExcept((byte)0) ? Errno.TooBig : Errno.None;
    }

    /// <summary>Writes a struct, or its first bytes.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>EFAULT, or 0.</returns>
    internal static long Answer<T>(this ICaller caller, ulong address, T value, int bytes)
        where T : unmanaged =>
        caller.TryWrite(address, Blittable.AsBytes(ref value)[..bytes]) ? 0 : Interface.Answer.Of(Errno.BadAddress);

    /// <summary>Writes a struct.</summary>
    /// <typeparam name="T">A struct without references.</typeparam>
    /// <returns>EFAULT, or 0.</returns>
    internal static long Answer<T>(this ICaller caller, ulong address, T value)
        where T : unmanaged => caller.Answer(address, value, Blittable.SizeOf<T>());

    /// <summary>Whether a range can be a process's at all, as the kernel's <c>access_ok</c>.</summary>
    internal static bool IsUser(ulong address, ulong length) => length <= 1UL << AddressBits && address <= (1UL << AddressBits) - length;
}
