using System.Runtime.ExceptionServices;

namespace Vfio.Guard.Shared;

/// <summary>The steps of a close: each is done, whatever became of those before; the first failure is kept.</summary>
internal sealed class CloseSteps
{
    private ExceptionDispatchInfo? _first;

    /// <summary>What failed first; null while nothing has.</summary>
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

    /// <summary>Throws the first failure if it is a fault in the function's code; after the last step. That a function is gone, or
    /// refuses, is nothing that whoever closes it could do something about.</summary>
    internal void ThrowFault()
    {
        if (_first is not null && _first.SourceException is not VfioException)
            _first.Throw();
    }
}
