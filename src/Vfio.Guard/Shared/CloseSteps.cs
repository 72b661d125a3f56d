using System.Runtime.ExceptionServices;

namespace Vfio.Guard.Shared;

/// <summary>The steps of a close: each is done even if one before it failed; the first failure is kept.</summary>
internal sealed class CloseSteps
{
    private ExceptionDispatchInfo? _first;

    /// <summary>The first failure; null when there is none.</summary>
    internal Exception? Failure => _first?.SourceException;

    /// <summary>Does a step.</summary>
    internal void Do(Action step)
    {
        try
        {
            step();
        }
        catch (Exception failure)
        {
            _first ??= ExceptionDispatchInfo.Capture(failure);
        }
    }

    /// <summary>Throws the first failure if it is a fault in the function's code; called after the last step. A function that is gone, or
    /// refuses, is no error for the caller of close, who cannot change it.</summary>
    internal void ThrowFault()
    {
        if (_first is not null && _first.SourceException is not VfioException)
            _first.Throw();
    }
}
