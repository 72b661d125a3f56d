using System.Buffers.Binary;

namespace Vfio.Native.Tracing;

/// <summary>The filter that tells a program's supervisor of the system calls that may be for a device, and lets all others run.</summary>
/// <remarks>
/// <para>The program of seccomp(2): classic BPF over <c>struct seccomp_data</c>, whose arguments are two words each. It tells of ioctls of
/// the type that VFIO and iommufd have, of accesses at offsets that only devices have, of calls with a path, which BPF cannot
/// read, and of those that ask what a descriptor is.</para>
/// <para>The kernel finds out beforehand which calls are let through whatever their arguments are: these cost nothing.</para>
/// </remarks>
internal static class SystemCallFilter
{
    private const uint Allow = 0x7fff_0000, Notify = 0x7fc0_0000;
    private const uint X64 = 0xc000_003e;
    private const uint NumberOffset = 0, ArchitectureOffset = 4, ArgumentsOffset = 16;
    private const ushort LoadWord = 0x20, JumpEqual = 0x15, JumpAtLeast = 0x35, And = 0x54, Return = 0x06;
    private const uint TypeMask = 0xff00, VfioType = ';' << 8;

    /// <summary>The instructions, 8 bytes each (<c>struct sock_filter</c>).</summary>
    /// <param name="firstOffset">The first offset in a file that only devices have; a multiple of 4 GiB.</param>
    internal static byte[] Build(ulong firstOffset)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual((uint)firstOffset, 0u);
        uint firstHigh = (uint)(firstOffset >> 32);
        List<ulong> code =
        [
            Instruction(LoadWord, ArchitectureOffset),
            Instruction(JumpEqual, X64, whenTrue: 1),
            Instruction(Return, Allow),
            Instruction(LoadWord, NumberOffset),
        ];

        code.AddRange(On(SystemCall.Ioctl, Instruction(LoadWord, Low(1)), Instruction(And, TypeMask), Instruction(JumpEqual, VfioType, whenFalse: 1)));
        foreach (SystemCall access in (SystemCall[])[SystemCall.Pread64, SystemCall.Pwrite64, SystemCall.Preadv, SystemCall.Pwritev])
            code.AddRange(On(access, Instruction(LoadWord, High(3)), Instruction(JumpAtLeast, firstHigh, whenFalse: 1)));
        code.AddRange(On(SystemCall.Mmap, Instruction(LoadWord, High(5)), Instruction(JumpAtLeast, firstHigh, whenFalse: 1)));

        foreach (SystemCall call in FileCalls)
            code.AddRange(On(call));
        code.Add(Instruction(Return, Allow));

        byte[] bytes = new byte[code.Count * sizeof(ulong)];
        for (int i = 0; i < code.Count; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), code[i]);
        return bytes;
    }

    private static SystemCall[] FileCalls =>
    [
        SystemCall.Open, SystemCall.Openat, SystemCall.Openat2, SystemCall.Stat, SystemCall.Lstat, SystemCall.Fstat, SystemCall.Newfstatat,
        SystemCall.Statx, SystemCall.Access, SystemCall.Faccessat, SystemCall.Faccessat2, SystemCall.Readlink, SystemCall.Readlinkat, SystemCall.Getxattr, SystemCall.Lgetxattr, SystemCall.Listxattr, SystemCall.Llistxattr,
    ];

    /// <summary>Tells of a call if a condition holds, whose last instruction jumps over one when it does not.</summary>
    private static ulong[] On(SystemCall call, params ulong[] condition) => condition.Length == 0
        ? [Instruction(JumpEqual, (uint)call, whenFalse: 1), Instruction(Return, Notify)]
        : [Instruction(JumpEqual, (uint)call, whenFalse: (byte)(condition.Length + 2)), .. condition, Instruction(Return, Notify), Instruction(Return, Allow)];

    private static uint Low(uint argument) => ArgumentsOffset + (argument * 8);

    private static uint High(uint argument) => Low(argument) + 4;

    private static ulong Instruction(ushort code, uint value, byte whenTrue = 0, byte whenFalse = 0) =>
        code | ((ulong)whenTrue << 16) | ((ulong)whenFalse << 24) | ((ulong)value << 32);
}
