namespace Vfio.Native.Waiting;

/// <summary>What a <see cref="Spinner"/> looks at.</summary>
internal interface ISpinTarget
{
    /// <summary>Whether somebody else wants the thread: it stops looking then, though nothing came.</summary>
    bool IsInterrupted { get; }

    /// <summary>Looks once, without waiting.</summary>
    /// <returns>Whether the wait is over.</returns>
    bool TryFind();
}
