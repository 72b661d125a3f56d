using Iced.Intel;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Does MOVS, STOS and LODS, with REP or without, where one side is a BAR.</summary>
/// <remarks>Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: MOVS, STOS, LODS, REP.</remarks>
internal static class StringInstructions
{
    private const ulong Direction = 0x400;

    // The program is stopped meanwhile, and its signals wait.
    private const ulong MaxElements = 4096;

    /// <summary>Does an instruction, or a part of it: RIP is then left where it is, and the next fault continues it.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="instruction">The instruction.</param>
    /// <param name="registers">Its registers.</param>
    /// <param name="bar">Where the fault was.</param>
    /// <param name="fault">The address of the fault.</param>
    /// <param name="area">The mapping that it was in.</param>
    /// <returns>Whether it was done; false when the other side is no memory of the program.</returns>
    /// <exception cref="VfioException">The device refuses an access.</exception>
    internal static bool TryDo(int thread, DecodedInstruction instruction, ref ThreadRegisters registers, in BarAccess bar, ulong fault, in MappedArea area)
    {
        Instruction code = instruction.Instruction;
        int bytes = instruction.Bytes;
        bool repeats = code.HasRepPrefix || code.HasRepnePrefix;
        bool isBackwards = (registers[ThreadRegisters.Flags] & Direction) != 0;
        long step = isBackwards ? -bytes : bytes;

        // The destination of LODS and the source of STOS are the accumulator.
        bool hasSource = IsMove(code.Mnemonic) || IsLoad(code.Mnemonic), hasDestination = !IsLoad(code.Mnemonic);
        bool isFromBar = hasSource && fault - registers[ThreadRegisters.Rsi] < (ulong)bytes;
        ulong room = isBackwards ? ((fault - area.Start) / (ulong)bytes) + 1 : (area.End - fault) / (ulong)bytes;
        ulong wanted = repeats ? registers[ThreadRegisters.Rcx] : 1;
        ulong count = Math.Min(Math.Min(wanted, MaxElements), Math.Max(1, room));
        Span<byte> element = stackalloc byte[sizeof(ulong)];
        for (ulong i = 0; i < count; i++)
        {
            BarAccess here = bar.Move((long)i * step);
            element.Clear();
            if (isFromBar)
                BitConverter.TryWriteBytes(element, here.Read(bytes));
            else if (!hasSource)
                BitConverter.TryWriteBytes(element, registers[ThreadRegisters.Rax]);
            else if (!ProcessMemory.TryRead(thread, registers[ThreadRegisters.Rsi], element[..bytes]))
                return false;

            if (!hasDestination)
                new RegisterOperand(ThreadRegisters.Rax, bytes, 0).Set(ref registers, BitConverter.ToUInt64(element));
            else if (!isFromBar)
                here.Write(BitConverter.ToUInt64(element), bytes);
            else if (!ProcessMemory.TryWrite(thread, registers[ThreadRegisters.Rdi], element[..bytes]))
                return false;
            registers[ThreadRegisters.Rsi] += hasSource ? (ulong)step : 0;
            registers[ThreadRegisters.Rdi] += hasDestination ? (ulong)step : 0;
            registers[ThreadRegisters.Rcx] -= repeats ? 1UL : 0;
        }

        if (count == wanted)
            registers[ThreadRegisters.Rip] += (ulong)code.Length;
        return true;
    }

    private static bool IsMove(Mnemonic mnemonic) => mnemonic is Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq;

    private static bool IsLoad(Mnemonic mnemonic) => mnemonic is Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Lodsq;
}
