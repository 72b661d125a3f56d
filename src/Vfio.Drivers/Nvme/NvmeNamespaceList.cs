using System.Runtime.CompilerServices;

namespace Vfio.Drivers.Nvme;

/// <summary>Active Namespace ID list: up to 1024 numbers in ascending order, then 0.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 5.15.2.2. CNS 0x02.</remarks>
[InlineArray(1024)]
internal struct NvmeNamespaceList
{
    private uint _first;
}
