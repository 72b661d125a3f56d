using Vfio.Kernel.Topology;

namespace Vfio.Kernel.Binding;

/// <summary>Changes of functions that are done all or none: unless they are kept, disposing undoes them, the last one first.</summary>
internal sealed class Undo(string operation, KernelPaths paths, IBindingSystem system) : IDisposable
{
    private readonly Stack<(KernelFunction Function, FunctionState Before)> _changed = [];

    /// <summary>Changes a function, and records its state before.</summary>
    /// <exception cref="VfioException">The change was refused. It is undone, or the message says what is not.</exception>
    internal void Do(KernelFunction function, Action<KernelFunction> change)
    {
        _changed.Push((function, FunctionState.Of(paths, system, function)));
        try
        {
            change(function);
        }
        catch (VfioException refusal)
        {
            if (Revert() is { } failed)
            {
                throw new VfioException(
                    refusal.Operation, refusal.Target, refusal.Errno, $"and '{operation}' could not be undone: {failed.Message}");
            }

            throw;
        }
    }

    /// <summary>Keeps the changes.</summary>
    internal void Keep() => _changed.Clear();

    /// <inheritdoc/>
    public void Dispose() => Revert();

    private VfioException? Revert()
    {
        VfioException? first = null;
        while (_changed.TryPop(out (KernelFunction Function, FunctionState Before) change))
        {
            try
            {
                change.Before.Restore(paths, system, change.Function);
            }
            catch (VfioException) when (!Directory.Exists(change.Function.Sysfs.FullPath))
            {
                // It was removed.
            }
            catch (VfioException refusal)
            {
                first ??= refusal;
            }
        }

        return first;
    }
}
