using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Does the instruction of a thread that touched a mapped BAR.</summary>
/// <remarks>Used by the tracer's thread.</remarks>
internal sealed class BarEmulator
{
    private const int LongestInstruction = 15, MostKnown = 4096;
    private const ulong PageBytes = 4096;

    // By their bytes: code that a program changes is other code.
    private readonly Dictionary<UInt128, DecodedInstruction> _known = [];
    private readonly Dictionary<int, ScratchPages> _pages = [];

    /// <summary>The first exception of a device that is none of a device's; null for none.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>Does the instruction.</summary>
    /// <param name="thread">The thread, about to get a signal for the access.</param>
    /// <param name="processId">Its process.</param>
    /// <param name="bar">What it touched.</param>
    /// <param name="fault">The address that it touched.</param>
    /// <param name="area">The mapping there.</param>
    /// <param name="signals">Receives the signals that came meanwhile.</param>
    /// <returns>Whether it was done; the thread may go on then. Otherwise it gets its signal.</returns>
    internal StepResult Do(int thread, int processId, in BarAccess bar, ulong fault, in MappedArea area, List<int> signals)
    {
        if (!ThreadTracer.TryGetRegisters(thread, out ThreadRegisters registers))
            return StepResult.Gone;
        if (Decode(thread, registers[ThreadRegisters.Rip]) is not { } instruction)
            return StepResult.Fault;
        ThreadRegisters before = registers;
        try
        {
            StepResult result = StepResult.Done;
            switch (instruction.Kind)
            {
                case InstructionKind.Unknown:
                    return StepResult.Fault;
                case InstructionKind.String:
                    // What it did before a fault stays done.
                    result = StringInstructions.TryDo(thread, instruction, ref registers, bar, fault, area) ? StepResult.Done : StepResult.Fault;
                    break;
                case InstructionKind.Step:
                    result = Step(thread, processId, instruction, ref registers, bar, fault, signals);
                    break;
                default:
                    SimpleInstructions.Do(instruction, ref registers, bar);
                    registers[ThreadRegisters.Rip] += (ulong)instruction.Instruction.Length;
                    break;
            }

            return ThreadTracer.TrySetRegisters(thread, registers) ? result : StepResult.Gone;
        }
        catch (Exception refusal)
        {
            // As on a machine: memory is off, or the device is gone. Another exception is told at the end, and the program goes on.
            if (refusal is not (VfioException or ObjectDisposedException))
                Failure ??= refusal;
            return ThreadTracer.TrySetRegisters(thread, before) ? StepResult.Fault : StepResult.Gone;
        }
    }

    /// <summary>Puts the first page of a file in the place of a page of a stopped thread's process.</summary>
    /// <param name="thread">The thread, about to go on.</param>
    /// <param name="processId">Its process.</param>
    /// <param name="address">An address in the page.</param>
    /// <param name="path">The file.</param>
    /// <param name="signals">Receives the signals that came meanwhile.</param>
    /// <returns><see cref="StepResult.Fault"/>: the process cannot have it; <see cref="StepResult.NoPages"/>: not this time.</returns>
    internal StepResult ReplacePage(int thread, int processId, ulong address, string path, List<int> signals)
    {
        if (!ThreadTracer.TryGetRegisters(thread, out ThreadRegisters registers))
            return StepResult.Gone;
        return FindPages(thread, processId, registers, signals) is { } pages
            ? pages.Replace(thread, registers, signals, address & ~(PageBytes - 1), path)
            : StepResult.Fault;
    }

    /// <summary>Forgets the memory of a process that ended, or executed another program.</summary>
    internal void Forget(int processId) => _pages.Remove(processId);

    private DecodedInstruction? Decode(int thread, ulong address)
    {
        // What follows the page may not be there.
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        int toPageEnd = (int)(PageBytes - (address % PageBytes));
        if (!ProcessMemory.TryRead(thread, address, bytes[..LongestInstruction])
            && (toPageEnd >= LongestInstruction || !ProcessMemory.TryRead(thread, address, bytes[..toPageEnd])))
        {
            return null;
        }

        UInt128 key = BitConverter.ToUInt128(bytes);
        if (_known.TryGetValue(key, out DecodedInstruction? known))
            return known;
        if (_known.Count >= MostKnown)
            _known.Clear();
        DecodedInstruction decoded = DecodedInstruction.Decode(bytes[..LongestInstruction].ToArray());
        _known.Add(key, decoded);
        return decoded;
    }

    private StepResult Step(
        int thread, int processId, DecodedInstruction instruction, ref ThreadRegisters registers, in BarAccess bar, ulong fault, List<int> signals)
    {
        const int Attempts = 2;
        for (int attempt = 1; attempt <= Attempts && FindPages(thread, processId, registers, signals) is { } pages; attempt++)
        {
            StepResult result = SteppedInstructions.Do(thread, instruction, ref registers, bar, fault, pages, signals);
            if (result != StepResult.NoPages)
                return result;

            // The program has unmapped them: what it does not know may be in its way.
            _pages.Remove(processId);
        }

        return StepResult.Fault;
    }

    private ScratchPages? FindPages(int thread, int processId, in ThreadRegisters registers, List<int> signals)
    {
        if (_pages.TryGetValue(processId, out ScratchPages known))
            return known;
        if (ScratchPages.Map(thread, registers, signals) is not { } mapped)
            return null;
        _pages.Add(processId, mapped);
        return mapped;
    }
}
