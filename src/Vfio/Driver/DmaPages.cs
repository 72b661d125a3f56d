namespace Vfio;

/// <summary>The pages of a <see cref="DmaBuffer"/>.</summary>
public enum DmaPages
{
    /// <summary>Pages of the usual size.</summary>
    Normal,

    /// <summary>Huge pages of 2 MiB, which an administrator reserves (<c>vm.nr_hugepages</c>): one TLB entry of processor and IOMMU for
    /// each, so
    /// that large rings and buffers cause fewer misses.</summary>
    Huge,
}
