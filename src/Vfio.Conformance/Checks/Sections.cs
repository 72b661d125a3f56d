namespace Vfio.Conformance;

/// <summary>Titles of the specification's sections that more than one group of checks tests.</summary>
internal static class Sections
{
    internal const string Commands = "Commands", Header = "Header", Concurrency = "Command Concurrency", Sizes = "Message sizes",
        Security = "Security Considerations", Disconnection = "Client Disconnection", Connection = "Connection Initiation",
        ReadWrite = "Read and Write Operations", Features = "Device Features", Version = "VFIO_USER_VERSION";
}
