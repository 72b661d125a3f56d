using Vfio.Guard;

namespace Vfio.Devices.Edu;

/// <summary>The thread of the educational device: factorials, and one transfer at a time.</summary>
/// <param name="function">Whose it is.</param>
/// <param name="core">The registers and the buffer.</param>
/// <param name="gate">Held for every look at <paramref name="core"/>, and never for a call of the slot.</param>
internal sealed class EduWork(EduFunction function, EduCore core, Lock gate) : DeviceWork(function)
{
    private readonly byte[] _moving = new byte[EduCore.BufferLength];

    /// <inheritdoc/>
    protected override void Run()
    {
        while (!ShouldReturn)
        {
            EduEffects due;
            lock (gate)
                due = core.Unfinished;
            if (due == EduEffects.None)
                return;
            if ((due & EduEffects.ComputeFactorial) != 0)
                Compute();
            else
                Move();
        }
    }

    private void Compute()
    {
        uint operand;
        lock (gate)
            operand = core.Operand;
        uint result = EduCore.Factorial(operand);
        EduEffects effects = EduEffects.None;
        lock (gate)
        {
            if (!IsAbandoned)
                effects = core.FinishFactorial(result);
        }

        Apply(effects);
    }

    private void Move()
    {
        EduTransfer transfer;
        Span<byte> bytes;
        lock (gate)
        {
            // A reset since the work was found cleared the registers: the transfer is then empty.
            transfer = core.Transfer;
            bytes = _moving.AsSpan(0, transfer.Count);
            if (transfer.ToMemory)
                core.ReadBuffer(transfer, bytes);
        }

        Errno refusal = transfer.Count == 0 ? Errno.None
            : transfer.ToMemory ? Bus.WriteMemory(transfer.Memory, bytes)
            : Bus.ReadMemory(transfer.Memory, bytes);
        if (transfer.ToMemory || refusal != Errno.None)
            bytes = [];
        EduEffects effects = EduEffects.None;
        lock (gate)
        {
            if (!IsAbandoned)
                effects = core.FinishTransfer(transfer, bytes);
        }

        Apply(effects);
    }

    // A driver that acknowledges meanwhile publishes too: whoever comes last leaves the pin as the register says.
    private void Apply(EduEffects effects)
    {
        bool raise = (effects & EduEffects.RaiseInterrupt) != 0;
        bool isPublished = !raise;
        while (!isPublished)
        {
            if (raise)
                Interrupt();
            else
                EndInterrupt();
            bool isRaised = raise;
            lock (gate)
                raise = core.IsInterrupting;
            isPublished = raise == isRaised || IsAbandoned;
        }
    }
}
