namespace Vfio.Guard.Config;

/// <summary>Gives virtual registers an effect beside keeping what is written to them.</summary>
/// <remarks>Called under the function's lock.</remarks>
internal abstract class ConfigRegisterHandler
{
    /// <summary>The dwords that this handles: offsets, multiples of 4.</summary>
    internal abstract IEnumerable<int> Offsets { get; }

    /// <summary>Gives the shadow its values after a reset; before the call it holds the hardware's.</summary>
    /// <param name="byUser">Whether the user made the reset through config space: registers are then as PCI specifies. Otherwise
    /// (at open, and for a reset of the whole lease) decoding is on and interrupts are bound as before.</param>
    internal abstract void Reset(bool byUser);

    /// <summary>Brings the shadow up to date before a read of one of <see cref="Offsets"/>.</summary>
    internal virtual void BeforeRead()
    {
    }

    /// <summary>Called after a read that touched one of <see cref="Offsets"/>, with what the hardware returned.</summary>
    /// <param name="offset">Where the read started.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    /// <param name="hardware">What was read; 0 where the hardware was not read.</param>
    internal virtual void AfterRead(int offset, int width, uint hardware)
    {
    }

    /// <summary>Acts on a write that touched one of <see cref="Offsets"/>, after hardware and shadow have taken it.</summary>
    /// <param name="offset">Where the write started.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    internal abstract void AfterWrite(int offset, int width);

    /// <summary>Whether a write touched a byte.</summary>
    protected static bool Covers(int offset, int width, int at) => at >= offset && at < offset + width;
}
