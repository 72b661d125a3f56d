using System.Buffers.Binary;
using System.Text;
using Vfio.Native.Interop;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Two pages in a program: one for an instruction, one for its memory operand.</summary>
/// <param name="Data">Address of the page for data.</param>
internal readonly record struct ScratchPages(ulong Data)
{
    private const int PageBytes = 4096, VdsoBytes = 2 * PageBytes;
    private const ulong VdsoEntry = 33, EndOfVector = 0;
    private const ulong OpenReadWrite = 0x8_0002, MapFixed = 0x10;
    private const long InterruptedCall = -4, FirstRestart = -512;
    private const ulong Close = 3, Mmap = 9, Mprotect = 10, Openat = 257, NoFile = ulong.MaxValue;

    /// <summary>Address of the page for code.</summary>
    internal ulong Code => Data + PageBytes;

    /// <summary>Makes a stopped thread map them.</summary>
    /// <param name="thread">The thread, before a signal.</param>
    /// <param name="registers">Its registers, which it has again afterwards.</param>
    /// <param name="signals">Receives the signals that came meanwhile.</param>
    /// <returns>Null when it cannot.</returns>
    internal static ScratchPages? Map(int thread, in ThreadRegisters registers, List<int> signals)
    {
        if (FindSystemCall(thread) is not { } instruction)
            return null;
        long data = Call(thread, registers, signals, instruction, Mmap, 0, 2 * PageBytes, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS, NoFile);
        long code = data < 0 ? data : Call(thread, registers, signals, instruction, Mprotect, (ulong)data + PageBytes, PageBytes, LibC.PROT_READ | LibC.PROT_EXEC, 0, 0);
        return ThreadTracer.TrySetRegisters(thread, registers) && code >= 0 ? new ScratchPages((ulong)data) : null;
    }

    /// <summary>Makes a stopped thread map the first page of a file in place of another page.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="registers">Its registers, which it has again afterwards.</param>
    /// <param name="signals">Receives the signals that came meanwhile.</param>
    /// <param name="address">The page.</param>
    /// <param name="path">The file.</param>
    /// <returns><see cref="StepResult.Fault"/>: it cannot; <see cref="StepResult.NoPages"/>: a signal came between.</returns>
    internal StepResult Replace(int thread, in ThreadRegisters registers, List<int> signals, ulong address, string path)
    {
        if (FindSystemCall(thread) is not { } instruction || !ProcessMemory.TryWrite(thread, Data, Encoding.UTF8.GetBytes(path + '\0')))
            return StepResult.Fault;
        long file = Call(thread, registers, signals, instruction, Openat, unchecked((ulong)LibC.AT_FDCWD), Data, OpenReadWrite, 0, 0);
        long mapped = file;
        if (file >= 0)
        {
            mapped = Call(
                thread, registers, signals, instruction, Mmap, address, PageBytes, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED | MapFixed, (ulong)file);
            Call(thread, registers, signals, instruction, Close, (ulong)file, 0, 0, 0, 0);
        }

        if (!ThreadTracer.TrySetRegisters(thread, registers))
            return StepResult.Gone;
        return mapped >= 0 ? StepResult.Done : mapped is InterruptedCall or <= FirstRestart ? StepResult.NoPages : StepResult.Fault;
    }

    /// <summary>Makes a thread call the kernel.</summary>
    private static long Call(
        int thread, in ThreadRegisters registers, List<int> signals, ulong instruction, ulong number, ulong first, ulong second, ulong third, ulong fourth, ulong fifth)
    {
        ThreadRegisters call = registers;
        call[ThreadRegisters.Rip] = instruction;
        call[ThreadRegisters.Rax] = number;
        call[ThreadRegisters.OriginalRax] = ulong.MaxValue;
        call[ThreadRegisters.Rdi] = first;
        call[ThreadRegisters.Rsi] = second;
        call[ThreadRegisters.Rdx] = third;
        call[ThreadRegisters.R10] = fourth;
        call[ThreadRegisters.R8] = fifth;
        call[ThreadRegisters.R9] = 0;
        if (!ThreadTracer.TrySetRegisters(thread, call) || ThreadStepper.Step(thread, signals) != StepResult.Done || !ThreadTracer.TryGetRegisters(thread, out call))
            return -1;
        return (long)call[ThreadRegisters.Rax];
    }

    /// <summary>A SYSCALL instruction in the kernel's own code page, which every program has.</summary>
    private static ulong? FindSystemCall(int thread)
    {
        if (FindVdso(thread) is not { } start)
            return null;
        byte[] code = new byte[VdsoBytes];
        int at = ProcessMemory.TryRead(thread, start, code) || ProcessMemory.TryRead(thread, start, code.AsSpan(0, PageBytes)) ? code.AsSpan().IndexOf<byte>([0x0f, 0x05]) : -1;
        return at >= 0 ? start + (ulong)at : null;
    }

    private static ulong? FindVdso(int thread)
    {
        try
        {
            ReadOnlySpan<byte> vector = File.ReadAllBytes($"/proc/{thread}/auxv");
            for (; vector.Length >= 16 && BinaryPrimitives.ReadUInt64LittleEndian(vector) != EndOfVector; vector = vector[16..])
            {
                if (BinaryPrimitives.ReadUInt64LittleEndian(vector) == VdsoEntry)
                    return BinaryPrimitives.ReadUInt64LittleEndian(vector[8..]);
            }
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            // It has ended.
        }

        return null;
    }
}
