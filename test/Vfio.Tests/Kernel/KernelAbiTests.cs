using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Vfio.Native;
using Vfio.Native.Kernel;
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

    /// <summary>Structs that later headers have more fields at the end of, which the kernel does not look for here.</summary>
    private static readonly Type[] OutgrownStructs = [typeof(vfio_device_bind_iommufd)];

    /// <summary>Structs of Linux 6.6 and before.</summary>
    private static readonly Type[] DeviceFileStructs =
    [
        typeof(vfio_device_bind_iommufd), typeof(vfio_device_low_power_entry_with_wakeup), typeof(vfio_device_feature_migration),
        typeof(vfio_device_feature_mig_state), typeof(vfio_device_feature_mig_data_size), typeof(vfio_precopy_info),
        typeof(vfio_device_feature_dma_logging_control), typeof(vfio_device_feature_dma_logging_range),
        typeof(vfio_device_feature_dma_logging_report), typeof(vfio_bitmap), typeof(vfio_iommu_type1_dirty_bitmap),
        typeof(vfio_iommu_type1_dirty_bitmap_get), typeof(vfio_iommu_type1_info_cap_migration),
    ];

    /// <summary>Structs that have a PASID since Linux 6.15.</summary>
    private static readonly Type[] PasidStructs = [typeof(vfio_device_attach_iommufd_pt), typeof(vfio_device_detach_iommufd_pt)];

    private static readonly Type[] IommufdStructs =
    [
        typeof(iommu_destroy), typeof(iommu_ioas_alloc), typeof(iommu_iova_range), typeof(iommu_ioas_iova_ranges), typeof(iommu_ioas_map),
        typeof(iommu_ioas_unmap), typeof(iommu_hw_info), typeof(iommu_hwpt_alloc), typeof(iommu_hwpt_set_dirty_tracking),
        typeof(iommu_hwpt_get_dirty_bitmap), typeof(iommu_ioas_allow_iovas), typeof(iommu_ioas_map_file), typeof(iommu_ioas_copy),
        typeof(iommu_option), typeof(iommu_vfio_ioas),
    ];

    [Fact]
    public void Structs_and_requests_are_those_of_the_header_of_VFIO()
    {
        bool hasDeviceFiles = HeaderHas("vfio.h", "VFIO_DEVICE_BIND_IOMMUFD");
        IEnumerable<Type> structs = hasDeviceFiles ? [.. VfioStructs, .. GrownStructs, .. DeviceFileStructs] : VfioStructs;
        if (HeaderHas("vfio.h", "VFIO_DEVICE_ATTACH_PASID"))
            structs = structs.Concat(PasidStructs);
        string[] newer = hasDeviceFiles ? [] : ["IOMMUFD", "PRECOPY"];
        Assert.Equal("", Compile("vfio.h", structs, Requests("VFIO_").Where(name => !newer.Any(word => name.Contains(word, StringComparison.Ordinal)))));
    }

    [Fact]
    public void Structs_and_requests_are_those_of_the_header_of_iommufd()
    {
        Assert.SkipUnless(HeaderHas("iommufd.h", "out_max_pasid_log2"), "the kernel's headers here are older than what iommufd is asked");
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
            string than = OutgrownStructs.Contains(type) ? ">=" : "==";
            text.Append($"_Static_assert(sizeof(struct {type.Name}) {than} {Marshal.SizeOf(type)}, \"size of {type.Name}\");\n");
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

    /// <summary>The newest headers that Debian has, where a guest was made.</summary>
    private static string? HeaderFolder => GuestParts.Headers;
}
