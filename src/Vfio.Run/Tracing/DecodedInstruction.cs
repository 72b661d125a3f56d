using Iced.Intel;

namespace Vfio.Run.Tracing;

/// <summary>How an instruction with a memory operand is done.</summary>
internal enum InstructionKind
{
    /// <summary>By the processor, on other memory.</summary>
    Step,

    /// <summary>Memory to a register.</summary>
    Load,

    /// <summary>A register or a number to memory.</summary>
    Store,

    /// <summary>Flags of the difference of two operands.</summary>
    Compare,

    /// <summary>Flags of the common bits of two operands.</summary>
    Test,

    /// <summary>Memory to memory, the accumulator to memory, or memory to the accumulator; once, or as often as RCX says.</summary>
    String,

    /// <summary>Not at all.</summary>
    Unknown,
}

/// <summary>An instruction that accesses memory, and what has to be known to do it.</summary>
internal sealed class DecodedInstruction
{
    private const int LongestAccess = 64;

    private DecodedInstruction(in Instruction instruction) => Instruction = instruction;

    /// <summary>The instruction, as if it were at address 0.</summary>
    internal Instruction Instruction { get; }

    /// <summary>How it is done.</summary>
    internal InstructionKind Kind { get; private set; }

    /// <summary>How many bytes of memory it accesses.</summary>
    internal int Bytes { get; private set; }

    /// <summary>Whether it reads them.</summary>
    internal bool Reads { get; private set; }

    /// <summary>Whether it writes them.</summary>
    internal bool Writes { get; private set; }

    /// <summary>With <see cref="InstructionKind.Load"/>: how many bytes a sign is extended over; 0 for zeros.</summary>
    internal bool IsSigned { get; private set; }

    /// <summary>The other operand; none where it is a number.</summary>
    internal RegisterOperand? Other { get; private set; }

    /// <summary>The other operand, where it is a number.</summary>
    internal ulong Number { get; private set; }

    /// <summary>Whether memory is the first operand.</summary>
    internal bool IsMemoryFirst { get; private set; }

    /// <summary>Decodes an instruction.</summary>
    /// <param name="code">Its bytes, and what follows.</param>
    internal static DecodedInstruction Decode(byte[] code)
    {
        Decoder decoder = Decoder.Create(64, code);
        Instruction instruction = decoder.Decode();
        DecodedInstruction decoded = new(instruction) { Kind = InstructionKind.Unknown };
        if (!instruction.IsInvalid)
            decoded.Classify(instruction);
        return decoded;
    }

    private void Classify(in Instruction instruction)
    {
        foreach (UsedMemory memory in new InstructionInfoFactory().GetInfo(instruction).GetUsedMemory())
        {
            // PUSH, POP and their like use the stack beside it.
            if (memory.Base == Register.RSP && instruction.MemoryBase != Register.RSP)
                continue;
            Bytes = memory.MemorySize.GetSize();
            Reads |= memory.Access is OpAccess.Read or OpAccess.CondRead or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            Writes |= memory.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
        }

        if (instruction.IsStringInstruction)
        {
            // How much memory it uses is RCX's to say; what it copies at once is its own.
            Bytes = ElementBytes(instruction.Mnemonic);
            Kind = Bytes > 0 ? InstructionKind.String : InstructionKind.Unknown;
            return;
        }

        if (Bytes is 0 or > LongestAccess)
            return;
        Kind = InstructionKind.Step;
        bool isFirst = instruction.Op0Kind == OpKind.Memory;
        if (Bytes > sizeof(ulong) || instruction.OpCount != 2 || instruction.HasLockPrefix || !TryFindOther(instruction, isFirst ? 1 : 0))
            return;
        IsMemoryFirst = isFirst;
        IsSigned = instruction.Mnemonic is Mnemonic.Movsx or Mnemonic.Movsxd;
        Kind = instruction.Mnemonic switch
        {
            Mnemonic.Mov or Mnemonic.Movnti => isFirst ? InstructionKind.Store : InstructionKind.Load,
            Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd => InstructionKind.Load,
            Mnemonic.Test => InstructionKind.Test,
            Mnemonic.Cmp => InstructionKind.Compare,
            _ => InstructionKind.Step,
        };
    }

    private bool TryFindOther(in Instruction instruction, int operand)
    {
        OpKind kind = instruction.GetOpKind(operand);
        if (kind == OpKind.Register)
        {
            bool isGeneral = RegisterOperand.TryFind(instruction.GetOpRegister(operand), out RegisterOperand register);
            Other = register;
            return isGeneral;
        }

        bool isNumber = kind is OpKind.Immediate8 or OpKind.Immediate16 or OpKind.Immediate32 or OpKind.Immediate64
            or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64 or OpKind.Immediate32to64;
        Number = isNumber ? instruction.GetImmediate(operand) : 0;
        return isNumber;
    }

    private static int ElementBytes(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Movsb or Mnemonic.Stosb or Mnemonic.Lodsb => 1,
        Mnemonic.Movsw or Mnemonic.Stosw or Mnemonic.Lodsw => 2,
        Mnemonic.Movsd or Mnemonic.Stosd or Mnemonic.Lodsd => 4,
        Mnemonic.Movsq or Mnemonic.Stosq or Mnemonic.Lodsq => 8,
        _ => 0,
    };
}
