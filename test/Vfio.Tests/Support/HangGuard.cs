namespace Vfio.Tests;

/// <summary>How long a test waits before it calls a wait a hang.</summary>
/// <remarks>A test that passes never waits for so long, however busy the machine is. A test with a shorter time needs it to run out, and
/// must pass when it runs out late.</remarks>
internal static class HangGuard
{
    /// <summary>Ten minutes: forty times what the slowest boot of a guest takes on a machine with work for eight times its cores.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromMinutes(10);
}
