namespace Vfio.Native.Errors;

/// <summary>Steps that are each done even if one before was refused; the first refusal is kept.</summary>
internal sealed class FirstRefusal
{
    private VfioException? _refusal;

    /// <summary>Whether nothing was refused by now.</summary>
    internal bool IsNone => _refusal is null;

    /// <summary>Does a step.</summary>
    internal void Try(Action step)
    {
        try
        {
            step();
        }
        catch (VfioException refusal)
        {
            _refusal ??= refusal;
        }
    }

    /// <summary>Throws the first refusal, if there was one; after the last step.</summary>
    internal void ThrowIfAny()
    {
        if (_refusal is not null)
            throw _refusal;
    }
}
