namespace Vfio.Providers;

/// <summary>The steps between migration states, and the first step of a longer way.</summary>
/// <remarks><c>linux/vfio.h</c>, <c>enum vfio_device_mig_state</c>; vfio-user, "Direct State Transitions" and "Complex State
/// Transitions": the shortest way, with <see cref="MigrationState.PreCopy"/> and <see cref="MigrationState.StopCopy"/> only at its
/// ends.</remarks>
internal static class MigrationPath
{
    /// <summary>The first step from one state to another.</summary>
    /// <param name="from">The current state.</param>
    /// <param name="to">The target; another state.</param>
    /// <param name="features">The states that it has.</param>
    /// <param name="next">The state after the step.</param>
    /// <returns>False when no sequence of steps leads there.</returns>
    public static bool TryStep(MigrationState from, MigrationState to, MigrationFeatures features, out MigrationState next)
    {
        next = (from, to) switch
        {
            (MigrationState.StopCopy, MigrationState.PreCopy) => MigrationState.Error,
            (MigrationState.Stop, MigrationState.PreCopy) => MigrationState.Running,
            (MigrationState.Stop, _) => to,
            (MigrationState.Running, MigrationState.PreCopy) => to,
            (MigrationState.PreCopy, MigrationState.StopCopy) => to,
            (MigrationState.PreCopy, _) => MigrationState.Running,
            (MigrationState.Running or MigrationState.StopCopy or MigrationState.Resuming, _) => MigrationState.Stop,
            _ => MigrationState.Error,
        };
        return from != to && Has(features, from) && Has(features, to) && next != MigrationState.Error;
    }

    private static bool Has(MigrationFeatures features, MigrationState state) => state switch
    {
        MigrationState.Running => true,
        MigrationState.Stop or MigrationState.StopCopy or MigrationState.Resuming => (features & MigrationFeatures.StopCopy) != 0,
        MigrationState.PreCopy => (features & MigrationFeatures.PreCopy) != 0,
        _ => false,
    };
}
