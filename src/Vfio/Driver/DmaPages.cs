namespace Vfio;

/// <summary>What a <see cref="DmaBuffer"/> is made of.</summary>
public enum DmaPages
{
    /// <summary>Pages of the usual size.</summary>
    Normal,

    /// <summary>Huge pages of 2 MiB, which an administrator reserves (<c>vm.nr_hugepages</c>): one entry of processor and IOMMU for each, so
    /// that large rings and buffers miss neither's cache.</summary>
    Huge,
}
