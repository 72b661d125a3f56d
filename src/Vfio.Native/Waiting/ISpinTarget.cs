namespace Vfio.Native.Waiting;

/// <summary>What a <see cref="Spinner"/> polls.</summary>
internal interface ISpinTarget
{
    /// <summary>Whether the thread is needed elsewhere: polling then stops, though nothing came.</summary>
    bool IsInterrupted { get; }

    /// <summary>Polls once, without waiting.</summary>
    /// <returns>Whether the wait is over.</returns>
    bool TryFind();
}
