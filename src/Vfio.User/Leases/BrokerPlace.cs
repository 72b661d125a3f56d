namespace Vfio.User.Leases;

/// <summary>Where a broker listens when nothing else is said.</summary>
internal static class BrokerPlace
{
    /// <summary>An environment variable with the path of a broker's socket.</summary>
    internal const string Variable = "VFIO_BROKER";

    /// <summary>The socket of this machine's broker.</summary>
    internal const string OfMachine = "/run/vfio/broker.sock";

    /// <summary>The socket of a broker that a user runs; null where the user has no folder for sockets.</summary>
    internal static string? OfUser =>
        Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } folder ? Path.Combine(folder, "vfio-broker.sock") : null;

    /// <summary>Where to ask: the variable, else the machine's broker, else the user's own where there is only that.</summary>
    internal static string ToAsk
    {
        get
        {
            if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
                return named;
            return !File.Exists(OfMachine) && OfUser is { } own && File.Exists(own) ? own : OfMachine;
        }
    }
}
