namespace Vfio.Conformance;

/// <summary>What a server did after something was sent to it.</summary>
internal enum Arrival
{
    /// <summary>A message came.</summary>
    Message,

    /// <summary>It closed the connection.</summary>
    Closed,

    /// <summary>Neither, for as long as this side waits.</summary>
    Silence,
}
