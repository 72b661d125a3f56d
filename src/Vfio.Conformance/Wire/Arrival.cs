namespace Vfio.Conformance;

/// <summary>A server's reaction to a message.</summary>
internal enum Arrival
{
    /// <summary>It sent a message.</summary>
    Message,

    /// <summary>It closed the connection.</summary>
    Closed,

    /// <summary>Neither within the timeout.</summary>
    Silence,
}
