using System.Numerics;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Does by itself the few instructions that nearly all drivers access registers with.</summary>
/// <remarks>Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: MOV, MOVZX, MOVSX, MOVNTI, TEST, CMP.</remarks>
internal static class SimpleInstructions
{
    private const ulong Carry = 1, Parity = 4, Adjust = 0x10, Zero = 0x40, Sign = 0x80, Overflow = 0x800;

    /// <summary>Does an instruction; RIP is left alone.</summary>
    /// <param name="instruction">One of the kinds that need no processor.</param>
    /// <param name="registers">The thread's registers.</param>
    /// <param name="bar">Its memory operand.</param>
    /// <exception cref="VfioException">The device refuses the access.</exception>
    internal static void Do(DecodedInstruction instruction, ref ThreadRegisters registers, in BarAccess bar)
    {
        int bytes = instruction.Bytes;
        ulong other = instruction.Kind == InstructionKind.Load ? 0 : instruction.Other?.Get(registers) ?? (instruction.Number & RegisterOperand.MaskOf(bytes));
        if (instruction.Kind == InstructionKind.Store)
        {
            bar.Write(other, bytes);
            return;
        }

        ulong memory = bar.Read(bytes);
        switch (instruction.Kind)
        {
            case InstructionKind.Load:
                instruction.Other!.Value.Set(ref registers, instruction.IsSigned ? Extend(memory, bytes) : memory);
                break;
            case InstructionKind.Test:
                registers[ThreadRegisters.Flags] = FlagsOf(registers[ThreadRegisters.Flags], memory & other, bytes);
                break;
            default:
                (ulong left, ulong right) = instruction.IsMemoryFirst ? (memory, other) : (other, memory);
                registers[ThreadRegisters.Flags] = FlagsOfDifference(registers[ThreadRegisters.Flags], left, right, bytes);
                break;
        }
    }

    private static ulong Extend(ulong value, int bytes)
    {
        int shift = 64 - (8 * bytes);
        return (ulong)((long)(value << shift) >> shift);
    }

    private static ulong FlagsOf(ulong flags, ulong result, int bytes)
    {
        flags &= ~(Carry | Parity | Adjust | Zero | Sign | Overflow);
        flags |= result == 0 ? Zero : 0;
        flags |= (result >> ((8 * bytes) - 1)) != 0 ? Sign : 0;
        return flags | ((BitOperations.PopCount((byte)result) & 1) == 0 ? Parity : 0);
    }

    private static ulong FlagsOfDifference(ulong flags, ulong left, ulong right, int bytes)
    {
        ulong result = (left - right) & RegisterOperand.MaskOf(bytes);
        ulong signs = (left ^ right) & (left ^ result);
        flags = FlagsOf(flags, result, bytes);
        flags |= left < right ? Carry : 0;
        flags |= ((left ^ right ^ result) & Adjust) != 0 ? Adjust : 0;
        return flags | ((signs >> ((8 * bytes) - 1) & 1) != 0 ? Overflow : 0);
    }
}
