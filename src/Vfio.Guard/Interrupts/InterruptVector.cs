using Vfio.Native;

namespace Vfio.Guard;

/// <summary>One vector: what it signals, and whether it is held back.</summary>
internal struct InterruptVector
{
    /// <summary>What it signals; null when nothing is bound. Owned.</summary>
    internal EventFd? Trigger;

    /// <summary>Held back until unmasked.</summary>
    internal bool IsMasked;

    /// <summary>Fired while it was held back.</summary>
    internal bool IsPending;

    /// <summary>Waits to be signalled; firing again before that adds nothing, as with any message that has not been taken.</summary>
    internal bool IsQueued;

    /// <summary>What goes with the device when it moves: masked in bit 0, pending in bit 1; other bits mean nothing.</summary>
    internal byte State
    {
        readonly get => (byte)((IsMasked ? 1 : 0) | (IsPending ? 2 : 0));
        set => (IsMasked, IsPending) = ((value & 1) != 0, (value & 2) != 0);
    }
}
