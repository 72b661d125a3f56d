using Vfio.Native;

namespace Vfio.Guard.Interrupts;

/// <summary>One vector: its eventfd, and whether it is held back.</summary>
internal struct InterruptVector
{
    /// <summary>The eventfd that it signals; null when none is bound. Owned.</summary>
    internal EventFd? Trigger;

    /// <summary>Masked by a request or a mask eventfd; INTx also when it fires.</summary>
    internal bool IsMaskedByRequest;

    /// <summary>The mask bit of the user's register.</summary>
    internal RegisterMask Register;

    /// <summary>It fired while it was held back.</summary>
    internal bool IsPending;

    /// <summary>It is queued to be signalled. Firing again before that adds nothing, as with a message that has not been taken.</summary>
    internal bool IsQueued;

    /// <summary>Whether it is masked. A vector of MSI-X whose mask bit was never written is masked only while no eventfd is bound: users
    /// that do not write the table just bind it.</summary>
    internal readonly bool IsMasked =>
        IsMaskedByRequest || Register == RegisterMask.Masked || (Register == RegisterMask.MaskedWhileUnbound && Trigger is null);

    /// <summary>The byte that a migration carries: masked by request in bit 0, pending in bit 1, <see cref="Register"/> in bits 3:2;
    /// other bits are ignored.</summary>
    internal byte State
    {
        readonly get => (byte)((IsMaskedByRequest ? 1 : 0) | (IsPending ? 2 : 0) | (int)Register << 2);
        set
        {
            (IsMaskedByRequest, IsPending) = ((value & 1) != 0, (value & 2) != 0);
            Register = (RegisterMask)Math.Min(value >> 2 & 3, (int)RegisterMask.MaskedWhileUnbound);
        }
    }

    /// <summary>Sets the user's mask bit, which overrides an earlier request.</summary>
    internal void SetByRegister(bool isMasked)
    {
        Register = isMasked ? RegisterMask.Masked : RegisterMask.Unmasked;
        IsMaskedByRequest &= isMasked;
    }

    /// <summary>Masks or unmasks by a request, or by an eventfd that stands for one.</summary>
    internal void SetByRequest(bool isMasked)
    {
        IsMaskedByRequest = isMasked;
        if (!isMasked)
            Register = RegisterMask.Unmasked;
    }
}

/// <summary>The mask bit that a vector has in config space or in the MSI-X table.</summary>
internal enum RegisterMask : byte
{
    /// <summary>Clear.</summary>
    Unmasked,

    /// <summary>Set by the user.</summary>
    Masked,

    /// <summary>As a reset leaves it in MSI-X: set, until an eventfd is bound or the user writes it.</summary>
    MaskedWhileUnbound,
}
