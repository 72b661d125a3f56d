namespace Vfio.Devices.Bench;

/// <summary>What the shell has to do after a write to <see cref="BenchCore"/>.</summary>
internal enum BenchEffects
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Signal the vector in <see cref="BenchRegister.Interrupt"/>, and say how it went.</summary>
    Signal,

    /// <summary>Run <see cref="BenchCore.Transfer"/>, and bring the result to <see cref="BenchCore.Finish"/>.</summary>
    Move,
}
