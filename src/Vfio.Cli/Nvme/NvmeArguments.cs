using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Nvme;

namespace Vfio.Cli.Nvme;

/// <summary>Arguments and options that the commands of <c>vfio nvme</c> share.</summary>
internal static class NvmeArguments
{
    /// <summary>Bytes that are read or written between two updates of files and progress.</summary>
    internal const int PieceBytes = 4 << 20;

    // NVM Express, section 6.1: the identifier with all bits set stands for all namespaces.
    private const uint MaxNamespace = 0xffff_fffe;

    internal static NumberOption<uint> Namespace() =>
        new("--namespace", NumberRules.Count<uint>(1, MaxNamespace, 1), 1, "Which namespace.", "-n");

    /// <summary>Where in a namespace.</summary>
    internal static NumberOption<ulong> Offset() =>
        new("--offset", NumberRules.Size<ulong>(0, SharedOptions.MaxOffset, 1 << 20), 0, "Where to start, in bytes: 4096, 0x1000, 4K, 1M.");

    /// <summary>Opens a disk, and ends the command when the owner requests its release.</summary>
    internal static NvmeController Open(string address, VfioDeviceOptions options)
    {
        NvmeController controller = new(VfioDevice.Open(address, options));
        ReleaseRequest.WhenAsked(controller.Device);
        return controller;
    }

    /// <summary>Checks a range that a person typed.</summary>
    internal static void CheckRange(NvmeBlockDevice disk, ulong offset, ulong count)
    {
        ulong block = (ulong)disk.BlockBytes;
        ulong length = (ulong)disk.Length;
        if (offset % block != 0 || count % block != 0)
            throw Refuse($"write offset and count as multiples of its blocks of {block} bytes");
        if (offset > length || count > length - offset)
            throw Refuse($"it has {length} bytes");

        VfioException Refuse(string reason) =>
            new($"access to {count} bytes at {offset}", disk.Namespace.ToString(), Errno.InvalidArgument, reason);
    }
}
