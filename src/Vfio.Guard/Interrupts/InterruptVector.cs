using Vfio.Native;

namespace Vfio.Guard.Interrupts;

/// <summary>One vector: what it signals, and whether it is held back.</summary>
internal struct InterruptVector
{
    /// <summary>What it signals; null when nothing is bound. Owned.</summary>
    internal EventFd? Trigger;

    /// <summary>Held back by a request or a mask eventfd, and of INTx by itself when it fires.</summary>
    internal bool IsMaskedByRequest;

    /// <summary>What the user's register says of it.</summary>
    internal RegisterMask Register;

    /// <summary>Fired while it was held back.</summary>
    internal bool IsPending;

    /// <summary>Waits to be signalled; firing again before that adds nothing, as with any message that has not been taken.</summary>
    internal bool IsQueued;

    /// <summary>Held back until unmasked. A vector of MSI-X that nobody has touched is masked while nothing is bound to it: users that
    /// know of no table just bind it.</summary>
    internal readonly bool IsMasked =>
        IsMaskedByRequest || Register == RegisterMask.Masked || (Register == RegisterMask.MaskedWhileUnbound && Trigger is null);

    /// <summary>What goes with the device when it moves: masked by request in bit 0, pending in bit 1, <see cref="Register"/> in bits 3:2;
    /// other bits mean nothing.</summary>
    internal byte State
    {
        readonly get => (byte)((IsMaskedByRequest ? 1 : 0) | (IsPending ? 2 : 0) | (int)Register << 2);
        set
        {
            (IsMaskedByRequest, IsPending) = ((value & 1) != 0, (value & 2) != 0);
            Register = (RegisterMask)Math.Min(value >> 2 & 3, (int)RegisterMask.MaskedWhileUnbound);
        }
    }

    /// <summary>The user's mask bit; written, it says of the vector what it says.</summary>
    internal void SetByRegister(bool isMasked)
    {
        Register = isMasked ? RegisterMask.Masked : RegisterMask.Unmasked;
        IsMaskedByRequest &= isMasked;
    }

    /// <summary>A request, or an eventfd that stands for one.</summary>
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
