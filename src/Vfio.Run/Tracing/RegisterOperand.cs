using Iced.Intel;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>A general register, or a part of one, as an operand.</summary>
/// <param name="Index">Where it is in <see cref="ThreadRegisters"/>.</param>
/// <param name="Bytes">How many bytes of it: 1, 2, 4 or 8.</param>
/// <param name="Shift">8 for AH, BH, CH and DH, otherwise 0.</param>
internal readonly record struct RegisterOperand(int Index, int Bytes, int Shift)
{
    /// <summary>Finds it.</summary>
    /// <returns>False for another kind of register.</returns>
    internal static bool TryFind(Register register, out RegisterOperand operand)
    {
        int index = IndexOf(register.GetFullRegister());
        bool isHigh = register is Register.AH or Register.BH or Register.CH or Register.DH;
        operand = new RegisterOperand(index, register.GetSize(), isHigh ? 8 : 0);
        return index >= 0 && register.IsGPR();
    }

    /// <summary>Its value.</summary>
    internal ulong Get(in ThreadRegisters registers) => (registers[Index] >> Shift) & MaskOf(Bytes);

    /// <summary>Sets it, as an instruction does: 4 bytes clear the upper half, 1 and 2 leave the others.</summary>
    internal void Set(ref ThreadRegisters registers, ulong value)
    {
        ulong mask = MaskOf(Bytes) << Shift;
        registers[Index] = Bytes >= sizeof(uint) ? value & mask : (registers[Index] & ~mask) | ((value << Shift) & mask);
    }

    /// <summary>All ones in so many bytes.</summary>
    internal static ulong MaskOf(int bytes) => bytes >= sizeof(ulong) ? ulong.MaxValue : (1UL << (8 * bytes)) - 1;

    private static int IndexOf(Register full) => full switch
    {
        Register.RAX => ThreadRegisters.Rax,
        Register.RCX => ThreadRegisters.Rcx,
        Register.RDX => ThreadRegisters.Rdx,
        Register.RBX => ThreadRegisters.Rbx,
        Register.RSP => ThreadRegisters.Rsp,
        Register.RBP => ThreadRegisters.Rbp,
        Register.RSI => ThreadRegisters.Rsi,
        Register.RDI => ThreadRegisters.Rdi,
        Register.R8 => ThreadRegisters.R8,
        Register.R9 => ThreadRegisters.R9,
        Register.R10 => ThreadRegisters.R10,
        Register.R11 => ThreadRegisters.R11,
        Register.R12 => ThreadRegisters.R12,
        Register.R13 => ThreadRegisters.R13,
        Register.R14 => ThreadRegisters.R14,
        Register.R15 => ThreadRegisters.R15,
        _ => -1,
    };
}
