namespace Vfio;

/// <summary>A feature of an <see cref="IPciFunction"/>: it has virtual functions (SR-IOV 1.1), which its owner has enabled.</summary>
/// <remarks>Each is a function of its own, attached and assigned by itself. Whoever attaches the physical function attaches them too, and
/// disposes them before it.</remarks>
public interface IPhysicalFunction
{
    /// <summary>The virtual functions, in the order of their numbers; fixed.</summary>
    IReadOnlyList<IPciFunction> VirtualFunctions { get; }
}
