using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Vfio.Native;
using Vfio.Tests.Guests;

namespace Vfio.Tests.Kernel;

/// <summary>Our structs and numbers, held against the kernel's own headers by a C compiler.</summary>
public sealed class KernelAbiTests
{
    private static readonly Type[] VfioStructs =
    [
        typeof(vfio_info_cap_header), typeof(vfio_group_status), typeof(vfio_region_info), typeof(vfio_region_info_cap_sparse_mmap),
        typeof(vfio_region_sparse_mmap_area), typeof(vfio_irq_info), typeof(vfio_irq_set), typeof(vfio_pci_dependent_device),
        typeof(vfio_pci_hot_reset_info), typeof(vfio_pci_hot_reset), typeof(vfio_device_feature), typeof(vfio_iommu_type1_info_cap_iova_range),
        typeof(vfio_iova_range), typeof(vfio_iommu_type1_info_dma_avail), typeof(vfio_iommu_type1_dma_map), typeof(vfio_iommu_type1_dma_unmap),
    ];

    /// <summary>Structs that grew: older headers have a shorter one.</summary>
    private static readonly Type[] GrownStructs = [typeof(vfio_device_info), typeof(vfio_iommu_type1_info)];

    private static readonly Type[] DeviceFileStructs =
        [typeof(vfio_device_bind_iommufd), typeof(vfio_device_attach_iommufd_pt), typeof(vfio_device_low_power_entry_with_wakeup)];

    private static readonly Type[] IommufdStructs =
    [
        typeof(iommu_destroy), typeof(iommu_ioas_alloc), typeof(iommu_iova_range), typeof(iommu_ioas_iova_ranges), typeof(iommu_ioas_map),
        typeof(iommu_ioas_unmap),
    ];

    [Fact]
    public void Structs_and_requests_are_those_of_the_header_of_VFIO()
    {
        bool hasDeviceFiles = HeaderHas("vfio.h", "VFIO_DEVICE_BIND_IOMMUFD");
        IEnumerable<Type> structs = hasDeviceFiles ? [.. VfioStructs, .. GrownStructs, .. DeviceFileStructs] : VfioStructs;
        Assert.Equal("", Compile("vfio.h", structs, Requests("VFIO_").Where(name => hasDeviceFiles || !name.Contains("IOMMUFD", StringComparison.Ordinal))));
    }

    [Fact]
    public void Structs_and_requests_are_those_of_the_header_of_iommufd()
    {
        Assert.SkipUnless(HeaderHas("iommufd.h", "IOMMU_IOAS_MAP"), "the kernel's headers here are older than iommufd");
        Assert.Equal("", Compile("iommufd.h", IommufdStructs, Requests("IOMMU_")));
    }

    [Fact]
    public void A_wrong_number_does_not_compile() => Assert.NotEqual("", CompileText("#include <linux/vfio.h>\n_Static_assert(VFIO_DEVICE_RESET == 1, \"\");\n"));

    private static IEnumerable<string> Requests(string prefix) =>
        Enum.GetNames<KernelRequest>().Where(name => name.StartsWith(prefix, StringComparison.Ordinal));

    private static string Compile(string header, IEnumerable<Type> structs, IEnumerable<string> requests)
    {
        StringBuilder text = new($"#include <stddef.h>\n#include <linux/{header}>\n");
        foreach (Type type in structs)
        {
            text.Append($"_Static_assert(sizeof(struct {type.Name}) == {Marshal.SizeOf(type)}, \"size of {type.Name}\");\n");
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
                text.Append($"_Static_assert(offsetof(struct {type.Name}, {field.Name}) == {Marshal.OffsetOf(type, field.Name)}, \"{type.Name}.{field.Name}\");\n");
        }

        foreach (string request in requests)
            text.Append($"_Static_assert({request} == {(uint)Enum.Parse<KernelRequest>(request)}u, \"{request}\");\n");
        return CompileText(text.ToString());
    }

    private static string CompileText(string text)
    {
        ProcessStartInfo start = new("gcc", [.. Include(), "-fsyntax-only", "-x", "c", "-"]) { RedirectStandardInput = true, RedirectStandardError = true };
        using Process compiler = Process.Start(start)!;
        compiler.StandardInput.Write(text);
        compiler.StandardInput.Close();
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        return errors;
    }

    private static bool HeaderHas(string header, string name)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/gcc"), "gcc is not installed");
        return File.Exists(PathOf(header)) && File.ReadAllText(PathOf(header)).Contains(name, StringComparison.Ordinal);
    }

    private static string PathOf(string header) => Path.Combine(HeaderFolder ?? "/usr/include", "linux", header);

    private static string[] Include() => HeaderFolder is { } folder ? ["-I", folder] : [];

    /// <summary>Newer headers than this machine's, where a guest was made.</summary>
    private static string? HeaderFolder => GuestParts.Headers;
}
