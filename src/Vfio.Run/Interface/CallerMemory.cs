using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>Structs in the memory of who calls.</summary>
internal static class CallerMemory
{
    private const int AddressBits = 47;

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
