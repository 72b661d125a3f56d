using Iced.Intel;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Lets the processor do an instruction, on a page of memory in place of the BAR.</summary>
/// <remarks>The instruction is encoded again with that page as its memory operand, whatever addressed the BAR before; so it takes every
/// instruction with one memory operand, and changes no register that the instruction does not.</remarks>
internal static class SteppedInstructions
{
    // The operand has the alignment that it had: some instructions ask for it.
    private const ulong DataOffset = 1024, AlignmentMask = 63;

    /// <summary>Does an instruction.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="instruction">The instruction.</param>
    /// <param name="registers">Its registers.</param>
    /// <param name="bar">The memory operand.</param>
    /// <param name="fault">Its address.</param>
    /// <param name="pages">Memory of the program for that.</param>
    /// <param name="signals">Receives the signals that came meanwhile.</param>
    /// <exception cref="VfioException">The device refuses an access.</exception>
    internal static StepResult Do(
        int thread, DecodedInstruction instruction, ref ThreadRegisters registers, in BarAccess bar, ulong fault, ScratchPages pages, List<int> signals)
    {
        ulong data = pages.Data + DataOffset + (fault & AlignmentMask);
        if (Encode(instruction.Instruction, pages.Code, data) is not { } code)
            return StepResult.Fault;
        Span<byte> operand = stackalloc byte[instruction.Bytes];
        operand.Clear();
        if (instruction.Reads)
            bar.Read(operand);
        if (!ProcessMemory.TryWrite(thread, data, operand) || !ThreadTracer.TryWriteCode(thread, pages.Code, code))
            return StepResult.NoPages;
        ThreadRegisters before = registers;
        registers[ThreadRegisters.Rip] = pages.Code;
        if (!ThreadTracer.TrySetRegisters(thread, registers))
            return StepResult.Gone;
        StepResult result = ThreadStepper.Step(thread, signals);
        if (result != StepResult.Done || !ThreadTracer.TryGetRegisters(thread, out registers))
        {
            registers = before;
            return result == StepResult.Done ? StepResult.Gone : result;
        }

        if (instruction.Writes && ProcessMemory.TryRead(thread, data, operand))
            bar.Write(operand);
        registers[ThreadRegisters.Rip] = before[ThreadRegisters.Rip] + (ulong)instruction.Instruction.Length;
        return StepResult.Done;
    }

    // Null for one that has no such form, as XLATB, whose address is fixed registers.
    private static byte[]? Encode(Instruction instruction, ulong at, ulong data)
    {
        instruction.MemoryBase = Register.RIP;
        instruction.MemoryIndex = Register.None;
        instruction.MemoryIndexScale = 1;
        instruction.SegmentPrefix = Register.None;
        instruction.MemoryDisplSize = sizeof(ulong);
        instruction.MemoryDisplacement64 = data;
        ByteWriter writer = new();
        return Encoder.Create(64, writer).TryEncode(instruction, at, out _, out _) ? [.. writer.Bytes] : null;
    }

    private sealed class ByteWriter : CodeWriter
    {
        public List<byte> Bytes { get; } = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }
}
