using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Native.Interop;

/// <summary>The two system calls of every message, made as directly as can be.</summary>
/// <remarks>The C library's own let a thread be cancelled while it sleeps, and the runtime saves errno after each call: together six more
/// calls for each of these. So they go by number where it is known, and who fails asks for errno at once.</remarks>
internal static unsafe partial class MessageCalls
{
    /// <summary>recvmsg(2).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static nint Receive(int descriptor, LibC.MessageHeader* message, int flags) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => syscall(47, descriptor, (nint)message, flags, 0, 0, 0),
        Architecture.Arm64 => syscall(212, descriptor, (nint)message, flags, 0, 0, 0),
        _ => recvmsg(descriptor, message, flags),
    };

    /// <summary>sendto(2) without an address, which is send.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static nint Send(int descriptor, byte* bytes, nint length, int flags) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => syscall(44, descriptor, (nint)bytes, length, flags, 0, 0),
        Architecture.Arm64 => syscall(206, descriptor, (nint)bytes, length, flags, 0, 0),
        _ => send(descriptor, bytes, (nuint)length, flags),
    };

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);

    [LibraryImport("libc")]
    private static partial nint recvmsg(int descriptor, LibC.MessageHeader* message, int flags);

    [LibraryImport("libc")]
    private static partial nint send(int descriptor, void* buffer, nuint length, int flags);
}
