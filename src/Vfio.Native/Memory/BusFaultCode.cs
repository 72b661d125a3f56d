using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Vfio.Native.Memory;

/// <summary>The machine code of the handler of SIGBUS: a signal can come while the runtime is in any state, so that no managed code may
/// run in it.</summary>
/// <remarks>
/// <para>It is <c>void handler(int signal, siginfo_t *info, void *context)</c>: looks the address of the fault up in the table of
/// watched ranges; marks the range as lost; puts an empty page where the address is, and returns, so that the instruction is done again
/// and succeeds. Anything else, and a page that cannot be had, goes to the handler before it. It uses registers that a handler may
/// change and 24 bytes of stack; a flag is set before the page is there, so that whoever reads the page can see the flag.</para>
/// <para>An entry of the table has 32 bytes: first address, address after the last, lost, unused. See sigaction(2), mmap(2) and
/// syscall(2).</para>
/// </remarks>
internal static class BusFaultCode
{
    /// <summary>Whether there is code for this processor.</summary>
    internal static bool IsKnown => RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <summary>The code.</summary>
    /// <param name="table">Where the table is.</param>
    /// <param name="entries">How many entries it has.</param>
    /// <param name="previous">The handler before it.</param>
    /// <param name="page">The size of a page.</param>
    internal static byte[] For(ulong table, uint entries, ulong previous, uint page) =>
        RuntimeInformation.ProcessArchitecture == Architecture.X64 ? X64(table, entries, previous) : Arm64(table, entries, previous, page);

    /// <summary>System V AMD64: arguments in rdi, rsi, rdx; a system call takes rdi, rsi, rdx, r10, r8, r9 and changes rax, rcx, r11.</summary>
    internal static byte[] X64(ulong table, uint entries, ulong previous) =>
    [
        0x48, 0x8b, 0x46, 0x10,                         //    mov rax, [rsi + 16]        si_addr
        0x49, 0xb8, .. Bytes(table),                    //    mov r8, table
        0xb9, .. Bytes(entries),                        //    mov ecx, entries
        0x49, 0x3b, 0x00,                               // 1: cmp rax, [r8]              before the first address?
        0x72, 0x06,                                     //    jb 2
        0x49, 0x3b, 0x40, 0x08,                         //    cmp rax, [r8 + 8]          before the end?
        0x72, 0x14,                                     //    jb 4
        0x49, 0x83, 0xc0, 0x20,                         // 2: add r8, 32
        0xff, 0xc9,                                     //    dec ecx
        0x75, 0xed,                                     //    jnz 1
        0x48, 0xb8, .. Bytes(previous),                 // 3: mov rax, previous
        0xff, 0xe0,                                     //    jmp rax                    with the arguments as they came
        0x49, 0xc7, 0x40, 0x10, 0x01, 0x00, 0x00, 0x00, // 4: mov qword [r8 + 16], 1     lost
        0x57,                                           //    push rdi
        0x56,                                           //    push rsi
        0x52,                                           //    push rdx
        0x48, 0x25, 0x00, 0xf0, 0xff, 0xff,             //    and rax, -4096
        0x48, 0x89, 0xc7,                               //    mov rdi, rax               address
        0xbe, 0x00, 0x10, 0x00, 0x00,                   //    mov esi, 4096              length
        0xba, 0x03, 0x00, 0x00, 0x00,                   //    mov edx, 3                 PROT_READ | PROT_WRITE
        0x41, 0xba, 0x32, 0x00, 0x00, 0x00,             //    mov r10d, 0x32             MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        0x49, 0x83, 0xc8, 0xff,                         //    or r8, -1                  no file
        0x45, 0x31, 0xc9,                               //    xor r9d, r9d               from 0
        0xb8, 0x09, 0x00, 0x00, 0x00,                   //    mov eax, 9                 mmap
        0x0f, 0x05,                                     //    syscall
        0x5a,                                           //    pop rdx
        0x5e,                                           //    pop rsi
        0x5f,                                           //    pop rdi
        0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,             //    cmp rax, -4096             an errno?
        0x77, 0xb7,                                     //    ja 3
        0xc3,                                           //    ret
    ];

    /// <summary>AAPCS64: arguments in x0, x1, x2; a system call takes x0 to x5 and its number in x8, and changes x0.</summary>
    internal static byte[] Arm64(ulong table, uint entries, ulong previous, uint page) =>
    [
        .. Words(
            0xf9400823,     //    ldr x3, [x1, #16]          si_addr
            0x58000464,     //    ldr x4, 6                  table
            0x180004c5,     //    ldr w5, 8                  entries
            0xa9401c86,     // 1: ldp x6, x7, [x4]
            0xeb06007f,     //    cmp x3, x6                 before the first address?
            0x54000063,     //    b.lo 2
            0xeb07007f,     //    cmp x3, x7                 before the end?
            0x540000c3,     //    b.lo 4
            0x91008084,     // 2: add x4, x4, #32
            0x710004a5,     //    subs w5, w5, #1
            0x54ffff21,     //    b.ne 1
            0x58000363,     // 3: ldr x3, 7                  previous
            0xd61f0060,     //    br x3                      with the arguments as they came
            0xd2800026,     // 4: mov x6, #1
            0x91004087,     //    add x7, x4, #16
            0xc89ffce6,     //    stlr x6, [x7]              lost
            0xaa0003e9,     //    mov x9, x0
            0xaa0103ea,     //    mov x10, x1
            0xaa0203eb,     //    mov x11, x2
            0x180002c1,     //    ldr w1, 9                  length
            0xcb0103e6,     //    neg x6, x1
            0x8a060060,     //    and x0, x3, x6             address
            0x52800062,     //    mov w2, #3                 PROT_READ | PROT_WRITE
            0x52800643,     //    mov w3, #0x32              MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
            0x92800004,     //    mov x4, #-1                no file
            0xd2800005,     //    mov x5, #0                 from 0
            0x52801bc8,     //    mov w8, #222               mmap
            0xd4000001,     //    svc #0
            0xaa0003ec,     //    mov x12, x0
            0xaa0903e0,     //    mov x0, x9
            0xaa0a03e1,     //    mov x1, x10
            0xaa0b03e2,     //    mov x2, x11
            0xb13ffd9f,     //    cmn x12, #4095             an errno?
            0x54fffd42,     //    b.hs 3
            0xd65f03c0,     //    ret
            0xd503201f),    //    nop                        what follows is aligned
        .. Bytes(table),    // 6:
        .. Bytes(previous), // 7:
        .. Bytes(entries),  // 8:
        .. Bytes(page),     // 9:
    ];

    private static byte[] Words(params ReadOnlySpan<uint> words)
    {
        byte[] bytes = new byte[4 * words.Length];
        for (int i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4 * i), words[i]);
        return bytes;
    }

    private static byte[] Bytes(uint value) => Words(value);

    private static byte[] Bytes(ulong value) => Words((uint)value, (uint)(value >> 32));
}
