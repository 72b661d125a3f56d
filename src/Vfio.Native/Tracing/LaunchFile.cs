using System.Buffers.Binary;
using System.Text;

namespace Vfio.Native.Tracing;

/// <summary>A program of a few hundred bytes that puts the filter before itself, waits until its supervisor is ready, and becomes the
/// program that is to run.</summary>
/// <remarks>
/// <para>A process has to install a filter itself, and .NET cannot do that between fork and exec. A second start of this program with a
/// hidden verb could; but it takes a fifth of a second, changes signals and limits that the program then inherits, and a library has no
/// verb. So it is an ELF file of machine code, made for one start, that starts in less than a millisecond.</para>
/// <para>It is given the arguments and the environment of the program, and a socket. It writes the number of the filter's listener to
/// it, or a negative errno; waits for one byte; and starts the program. It writes a negative errno if that fails; the socket closes by
/// itself if it does not. See elf(5), seccomp(2) and the System V AMD64 ABI: a system call takes its number in rax, arguments in rdi,
/// rsi, rdx, r10, r8, and changes rax, rcx and r11.</para>
/// </remarks>
internal static class LaunchFile
{
    private const ulong Base = 0x40_0000;
    private const int HeaderBytes = 64, SegmentBytes = 56, Start = HeaderBytes + (2 * SegmentBytes);
    private const uint FirstRuntimeSignal = 32, RuntimeSignalsEnd = 34;

    /// <summary>Its bytes.</summary>
    /// <param name="path">The program's file.</param>
    /// <param name="filter">The filter's instructions.</param>
    /// <param name="socket">The number that the socket has in the new process.</param>
    internal static byte[] Build(string path, ReadOnlySpan<byte> filter, int socket)
    {
        // The first pass is for the length of the code alone.
        byte[] name = Encoding.UTF8.GetBytes(path + '\0');
        int data = Start + Code(0, 0, 0, socket).Length;
        data = (data + 15) & ~15;
        int filterAt = data + 16, zerosAt = filterAt + filter.Length, nameAt = zerosAt + 32;
        byte[] file = new byte[nameAt + name.Length];

        WriteHeaders(file);
        Code(Base + (ulong)data, Base + (ulong)zerosAt, Base + (ulong)nameAt, socket).CopyTo(file, Start);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(data), (ushort)(filter.Length / sizeof(ulong))); // struct sock_fprog
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(data + 8), Base + (ulong)filterAt);
        filter.CopyTo(file.AsSpan(filterAt));
        name.CopyTo(file, nameAt);
        return file;
    }

    private static void WriteHeaders(Span<byte> file)
    {
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identity.CopyTo(file);
        BinaryPrimitives.WriteUInt16LittleEndian(file[16..], 2);  // ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(file[18..], 62); // EM_X86_64
        BinaryPrimitives.WriteUInt32LittleEndian(file[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(file[24..], Base + Start);
        BinaryPrimitives.WriteUInt64LittleEndian(file[32..], HeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[52..], HeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[54..], SegmentBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[56..], 2);

        // PT_LOAD of the whole file, read and execute; PT_GNU_STACK, read and write.
        Span<byte> load = file[HeaderBytes..], stack = file[(HeaderBytes + SegmentBytes)..];
        BinaryPrimitives.WriteUInt32LittleEndian(load, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(load[4..], 5);
        BinaryPrimitives.WriteUInt64LittleEndian(load[16..], Base);
        BinaryPrimitives.WriteUInt64LittleEndian(load[24..], Base);
        BinaryPrimitives.WriteUInt64LittleEndian(load[32..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(load[40..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(load[48..], 0x1000);
        BinaryPrimitives.WriteUInt32LittleEndian(stack, 0x6474_e551);
        BinaryPrimitives.WriteUInt32LittleEndian(stack[4..], 6);
    }

    private static byte[] Code(ulong filter, ulong zeros, ulong path, int socket) =>
    [
        0x49, 0x89, 0xe4,                                                   //    mov r12, rsp              argument count, arguments, 0, environment, 0
        0x48, 0x83, 0xec, 0x20,                                             //    sub rsp, 32
        0x41, 0xbd, .. Bytes(FirstRuntimeSignal),                           //    mov r13d, 32              posix_spawn leaves the C library's own signals ignored
        0x44, 0x89, 0xef,                                                   // 1: mov edi, r13d
        0x48, 0xbe, .. Bytes(zeros),                                        //    mov rsi, zeros            SIG_DFL
        0x31, 0xd2,                                                         //    xor edx, edx
        0x41, 0xba, .. Bytes(8),                                            //    mov r10d, 8               sizeof(sigset_t)
        .. Call(SystemCall.RtSigaction),
        0x41, 0xff, 0xc5,                                                   //    inc r13d
        0x41, 0x83, 0xfd, (byte)RuntimeSignalsEnd,                          //    cmp r13d, 34
        0x72, 0xdb,                                                         //    jb 1
        0xbf, .. Bytes((uint)socket),                                       //    mov edi, socket
        0xbe, .. Bytes(2),                                                  //    mov esi, F_SETFD
        0xba, .. Bytes(1),                                                  //    mov edx, FD_CLOEXEC
        .. Call(SystemCall.Fcntl),
        0xbf, .. Bytes(1),                                                  //    mov edi, PR_SET_PDEATHSIG
        0xbe, .. Bytes(9),                                                  //    mov esi, SIGKILL
        .. Call(SystemCall.Prctl),
        0xbf, .. Bytes(38),                                                 //    mov edi, PR_SET_NO_NEW_PRIVS
        0xbe, .. Bytes(1),                                                  //    mov esi, 1
        0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0,                     //    xor edx, edx; xor r10d, r10d; xor r8d, r8d
        .. Call(SystemCall.Prctl),
        0xbf, .. Bytes(1),                                                  //    mov edi, SECCOMP_SET_MODE_FILTER
        0xbe, .. Bytes(0x28),                                               //    mov esi, NEW_LISTENER | WAIT_KILLABLE_RECV
        0x48, 0xba, .. Bytes(filter),                                       //    mov rdx, filter
        .. Call(SystemCall.Seccomp),
        0x83, 0xf8, 0xea,                                                   //    cmp eax, -EINVAL          before Linux 5.19
        0x75, 0x0c,                                                         //    jne 2
        0xbe, .. Bytes(8),                                                  //    mov esi, NEW_LISTENER
        .. Call(SystemCall.Seccomp),
        0x89, 0x04, 0x24,                                                   // 2: mov [rsp], eax
        .. Tell(socket),
        0xbf, .. Bytes((uint)socket),                                       //    mov edi, socket
        0x48, 0x89, 0xe6,                                                   //    mov rsi, rsp
        0xba, .. Bytes(1),                                                  //    mov edx, 1
        .. Call(SystemCall.Read),
        0x83, 0xf8, 0x01,                                                   //    cmp eax, 1                the supervisor is gone, or does not want to
        0x75, 0x36,                                                         //    jne 3
        0x49, 0x8b, 0x04, 0x24,                                             //    mov rax, [r12]
        0x48, 0xbf, .. Bytes(path),                                         //    mov rdi, path
        0x49, 0x8d, 0x74, 0x24, 0x08,                                       //    lea rsi, [r12 + 8]
        0x49, 0x8d, 0x54, 0xc4, 0x10,                                       //    lea rdx, [r12 + 8 * rax + 16]
        .. Call(SystemCall.Execve),
        0x89, 0x04, 0x24,                                                   //    mov [rsp], eax            it failed
        .. Tell(socket),
        0xbf, .. Bytes(127),                                                // 3: mov edi, 127
        .. Call(SystemCall.ExitGroup),
    ];

    /// <summary>Writes the four bytes at the top of the stack to the socket.</summary>
    private static byte[] Tell(int socket) =>
    [
        0xbf, .. Bytes((uint)socket), //    mov edi, socket
        0x48, 0x89, 0xe6,             //    mov rsi, rsp
        0xba, .. Bytes(4),            //    mov edx, 4
        .. Call(SystemCall.Write),
    ];

    private static byte[] Call(SystemCall number) => [0xb8, .. Bytes((uint)number), 0x0f, 0x05]; // mov eax, number; syscall

    private static byte[] Bytes(uint value)
    {
        byte[] bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Bytes(ulong value)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
